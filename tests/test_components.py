"""Groups in doubt, from literal edges: which evidence gives way, and that nothing depends on the order."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from core.components import STRENGTH, Edge, Groups, Limits, regroup

WIDE = Limits(records=1000, bridge=1000)


def parted(edges: Iterable[Edge], *apart: tuple[int, int], limits: Limits = WIDE, live: Iterable[int] = range(1000)) -> Groups:
    return regroup(edges, {record: record for record in live}, apart, limits)


def groups(found: Groups) -> set[frozenset[int]]:
    by_group: dict[int, set[int]] = {}
    for record, group in found.group.items():
        by_group.setdefault(group, set()).add(record)
    return {frozenset(group) for group in by_group.values()}


def sets(*groups: Iterable[int]) -> set[frozenset[int]]:
    return {frozenset(group) for group in groups}


def chain(records: Iterable[int], evidence: str) -> list[Edge]:
    return [Edge(a, b, evidence, f"{a}-{b}") for a, b in pairwise(records)]


# -- a person said: these are two ----------------------------------------------------------------------------------------
def test_who_is_said_to_be_two_goes_apart_at_the_weakest_evidence() -> None:
    edges = [Edge(0, 1, "link", "a"), Edge(1, 2, "other_email", "x@example.org"), Edge(2, 3, "email", "y@example.org")]
    found = parted(edges, (0, 3))
    assert groups(found) == sets({0, 1}, {2, 3})
    assert [(cut.l, cut.r, cut.evidence, cut.why) for cut in found.cuts] == [(1, 2, "other_email", "apart")]


def test_one_strong_edge_outweighs_any_number_of_weak_ones() -> None:
    weak = [Edge(0, 1, "web_id", f"w{n}") for n in range(30)]
    assert groups(parted([*weak, Edge(1, 2, "other_email", "x")], (0, 2))) == sets({0}, {1, 2})


def test_what_belongs_to_both_alike_stays_with_the_older() -> None:
    shared = [Edge(5, 6, "email", "x"), Edge(5, 7, "email", "x")]
    assert groups(regroup(shared, {5: 2, 6: 1, 7: 3}, [(5, 6)], WIDE)) == sets({5}, {6, 7})
    assert groups(regroup(shared, {5: 1, 6: 2, 7: 3}, [(5, 6)], WIDE)) == sets({5, 7}, {6})


def test_a_cut_wins_over_links_people_made() -> None:
    edges = [Edge(0, 1, "manual", "same desk"), Edge(1, 2, "manual", "same voice")]
    assert not any({0, 2} <= group for group in groups(parted(edges, (0, 2))))


def test_the_holders_of_a_value_hold_together_when_its_first_one_leaves() -> None:
    found = parted([Edge(0, n, "email", "x") for n in (1, 2, 3)] + [Edge(0, 9, "link", "a")], (0, 1), live=range(1, 10))
    assert groups(found) == sets({0, 9}, {1, 2, 3})
    assert [edge[:3] for edge in found.edges if edge.evidence == "email"] == [(1, 2, "email"), (1, 3, "email")]


# -- too many records ------------------------------------------------------------------------------------------------------
def test_a_value_that_nearly_everybody_has_gives_way_and_no_other() -> None:
    wrong = [Edge(0, n, "link", "salesforce:Contact:003X") for n in range(1, 9)]
    right = [Edge(n, 100 + n, "link", f"salesforce:Contact:{n}") for n in range(1, 9)]
    mail = [Edge(n, 200 + n, "email", f"p{n}@example.org") for n in range(1, 9)]
    found = parted([*wrong, *right, *mail], limits=Limits(records=5, bridge=1000))
    assert groups(found) == sets({0}, *({n, 100 + n, 200 + n} for n in range(1, 9)))
    assert {(cut.detail, cut.why) for cut in found.cuts} == {("salesforce:Contact:003X", "crowd")}
    assert len(found.edges) == 16


def test_of_a_long_chain_all_of_its_weakest_evidence_gives_way() -> None:
    pairs = [Edge(2 * n, 2 * n + 1, "email", f"{n}") for n in range(10)]
    between = [Edge(2 * n + 1, 2 * n + 2, "web_id", f"w{n}") for n in range(9)]
    found = parted([*pairs, *between], limits=Limits(records=19, bridge=1000))
    assert groups(found) == sets(*({2 * n, 2 * n + 1} for n in range(10)))
    assert groups(parted([*pairs, *between], limits=Limits(records=20, bridge=1000))) == sets(range(20))


def test_merges_and_links_people_made_are_never_doubted_and_dead_records_do_not_count() -> None:
    few = Limits(records=2, bridge=1000)
    assert groups(parted([Edge(0, n, "merged", "") for n in range(1, 9)], limits=few)) == sets(range(9))
    assert groups(parted([Edge(0, n, "manual", "") for n in range(1, 9)], limits=few)) == sets(range(9))
    assert groups(parted([Edge(0, n, "email", "x") for n in range(1, 9)], limits=few, live=[0, 1])) == sets(range(9))


# -- two large groups on one weak edge ---------------------------------------------------------------------------------------
TWO = [*chain(range(3), "email"), *chain(range(10, 13), "email")]
SMALL = Limits(records=1000, bridge=3)


def test_one_weak_edge_does_not_join_two_large_groups() -> None:
    found = parted([*TWO, Edge(1, 11, "web_id", "w")], limits=SMALL)
    assert groups(found) == sets(range(3), range(10, 13))
    assert [(cut.evidence, cut.why) for cut in found.cuts] == [("web_id", "bridge")]


def test_two_weak_edges_do_and_a_strong_one_does_and_a_weak_one_to_a_small_group() -> None:
    whole = sets({*range(3), *range(10, 13)})
    assert groups(parted([*TWO, Edge(1, 11, "web_id", "w"), Edge(0, 12, "other_email", "x")], limits=SMALL)) == whole
    assert groups(parted([*TWO, Edge(1, 11, "link", "a")], limits=SMALL)) == whole
    assert groups(parted([*TWO[:3], Edge(1, 10, "web_id", "w")], limits=SMALL)) == sets({0, 1, 2, 10, 11})


# -- always --------------------------------------------------------------------------------------------------------------------
EDGES = st.builds(
    lambda a, b, evidence, detail: Edge(min(a, b), max(a, b), evidence, detail),
    st.integers(0, 9), st.integers(10, 14), st.sampled_from(sorted(STRENGTH)), st.sampled_from("uvwxyz"),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.lists(EDGES, max_size=25), st.lists(st.tuples(st.integers(0, 4), st.integers(10, 14)), max_size=3), st.randoms(use_true_random=False)
)
def test_the_order_never_matters_and_edges_and_cuts_are_what_was_given(edges, apart, random) -> None:  # type: ignore[no-untyped-def]
    limits = Limits(records=4, bridge=2)
    found = parted(edges, *apart, limits=limits)
    shuffled = list(edges)
    random.shuffle(shuffled)
    assert parted(shuffled, *reversed(apart), limits=limits) == found
    assert not any(found.group.get(a, -1) == found.group.get(b, -2) for a, b in apart)
    assert all(found.group[edge.l] == found.group[edge.r] for edge in found.edges)
    assert all(found.group[cut.l] != found.group[cut.r] for cut in found.cuts)
    plain = [Edge(edge.l, edge.r, "link", str(n)) for n, edge in enumerate(found.edges)]  # what is told is what holds them together
    assert groups(parted(plain)) == {group for group in groups(found) if len(group) > 1}
