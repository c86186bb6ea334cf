"""What keeps the hub from doing harm: it waits, writes rarely, stops when somebody fights it, and takes a person's no for an answer.

The nights are played once, over one hub: each of its fields is another story.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from test_reconcile import found_in, hs
from test_reconcile import sf as sf_deal
from three_systems import CHANGING, DEALS, REPS, RESOURCES, Three, sf, three
from unified_rows import NOW as REPORTED

from core.change import Desired, Plan, Written
from core.ledger_echo import fights, our_moves
from core.plan import Limits, build
from jobs.thaw import Frozen, frozen_fields, thaw_fields

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
KEY = ("hs", "deals", "1")
BOTH_WAYS = "{policy: most_recent, order: [salesforce, hubspot]}"
MERGED = {"amount": BOTH_WAYS, "stage": BOTH_WAYS}  # close date and owner as shipped: Salesforce is the source of truth
RULES = {"D-01", "D-05", "D-09", "S-05", "T-05"}


# -- the nights ---------------------------------------------------------------------------------------------------------------
@dataclass
class Story:
    """`plans`: one a night. `amounts`: of the first deal in both CRMs, after each. `undone`: the close dates after the undo."""

    plans: list[Plan] = field(default_factory=list)
    amounts: list[tuple[float, float]] = field(default_factory=list)
    undone: tuple[str, str] = ("", "")
    frozen: list[Frozen] = field(default_factory=list)
    late: Plan | None = None

    def wrote(self, deal: int, *names: str) -> list[list[tuple[str, str | None]]]:
        """Of each night what was planned of the deal's field: (account, value)."""
        ids = {DEALS[deal], sf("006", deal)}
        return [[(c.account, c.after) for c in plan.changes if c.vendor_id in ids and c.field in names] for plan in self.plans]

    def held(self, night: int, deal: int, name: str) -> list[str]:
        return [h.reason for h in self.plans[night].held if h.vendor_id == DEALS[deal] and h.field == name]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with three(tmp_path_factory.mktemp("nights"), MERGED, RULES) as stand:
        yield _played(stand)


def _played(stand: Three) -> Story:
    story = Story()
    first, second = sf("006", 0), sf("006", 1)
    stand.hs("deals", DEALS[1], amount="9900")  # the two CRMs differed when the hub first saw them
    _night(stand, story, hours=1, others=False)
    stand.hs("deals", DEALS[0], amount="1500")
    stand.sf("Opportunity", first, StageName="Perception Analysis", OwnerId=sf("005", 2), CloseDate="2026-08-03")
    stand.sf("Opportunity", second, CloseDate="2026-08-03")
    done = _night(stand, story, hours=1)
    stand.undo(done.run_id, lambda c: (c.vendor_id, c.field) == (DEALS[1], "closedate"))
    story.undone = (stand.in_hs("deals", DEALS[1], "closedate"), stand.in_sf("Opportunity", second, "CloseDate"))
    stand.sf("Opportunity", first, StageName="Negotiation/Review", Amount=1700)
    _night(stand, story)
    stand.sf("Opportunity", second, CloseDate="2026-08-24")
    _night(stand, story)
    story.frozen = frozen_fields(stand.sandbox.hub)
    _night(stand, story)
    thaw_fields(stand.sandbox.hub, frozen_fields(stand.sandbox.hub))
    stand.sf("Opportunity", first, Amount=1900)
    stand.sf("Opportunity", second, CloseDate="2026-08-10")
    _others(stand)
    stand.pass_(hours=26)
    stand.sync(CHANGING)
    stand.hs("deals", DEALS[0], amount="2100")
    stand.hs("deals", DEALS[1], closedate="2026-08-03T12:00:00Z")
    story.late = stand.plan()
    return story


def _night(stand: Three, story: Story, hours: float = 26, others: bool = True) -> Any:
    if others:
        _others(stand)
    stand.pass_(hours=hours)
    plan, done = stand.turn(CHANGING if story.plans else RESOURCES)
    story.plans.append(plan)
    story.amounts.append((float(stand.in_hs("deals", DEALS[0], "amount")), stand.in_sf("Opportunity", sf("006", 0), "Amount")))
    return done


def _others(stand: Three) -> None:
    """A second hub wants its own owner in HubSpot, and the vendors' own sync carries Salesforce's close date over as a day a week later."""
    stand.hs("deals", DEALS[0], by="SecondHub", hubspot_owner_id=REPS[0])
    day = datetime.fromisoformat(stand.in_sf("Opportunity", sf("006", 0), "CloseDate")) + timedelta(days=7)
    stand.hs("deals", DEALS[0], by="SALESFORCE", closedate=f"{day:%Y-%m-%d}T12:00:00Z")


# -- three ways -----------------------------------------------------------------------------------------------------------
def test_the_side_that_was_edited_wins_whichever_it_is(story: Story) -> None:
    assert story.wrote(0, "amount", "Amount")[:4] == [[], [("salesforce", "1500")], [("hubspot", "1700")], []]
    assert story.amounts[:3] == [(1000, 1000), (1500, 1500), (1700, 1700)]


def test_our_own_write_coming_back_is_no_edit(story: Story) -> None:
    """Salesforce goes on while our copy of its last value is on its way: both differ from the base, yet only Salesforce was edited."""
    told = story.wrote(0, "dealstage", "StageName")
    assert told == [[], [("hubspot", "presentationscheduled")], [("hubspot", "decisionmakerboughtin")], [], []]


def test_without_a_common_value_nobody_is_overwritten(story: Story) -> None:
    assert story.wrote(1, "amount", "Amount") == [[]] * 5


# -- rarely, and not against anybody -----------------------------------------------------------------------------------------
def test_a_fresh_edit_is_left_in_peace() -> None:
    def found(minutes: int) -> int:
        at = (REPORTED - timedelta(minutes=minutes)).isoformat()
        return int(found_in(rules=["D-01"], deal=[hs("a", updated_at=at), sf_deal("b", "a", amount=1500)]).num_rows)

    assert (found(14), found(16)) == (0, 1)


def test_a_field_of_people_s_is_written_once_a_day_and_an_opt_out_never_waits() -> None:
    def planned(hours: float, policy: str) -> tuple[int, list[str]]:
        wish = Desired("hs", "deals", "1", "status", "text", "unsubscribed", "why", policy)
        written = {(*KEY, "status"): Written("unsubscribed", NOW - timedelta(hours=hours))}
        made = build([wish], {KEY: {"status": "subscribed"}}, now=NOW, as_of=NOW, limits=Limits(), written=written)
        return len(made.changes), [h.reason for h in made.held]

    assert planned(23, "most_recent") == (0, ["written less than 24 hours ago (limits.rewrite_h); a later plan will ask again"])
    assert planned(24, "most_recent") == planned(1, "strictest") == (1, [])


def test_what_a_person_took_back_is_not_asked_for_again_until_a_side_says_something_else(story: Story) -> None:
    assert story.undone == ("2026-08-20T12:00:00Z", "2026-08-03")
    written = story.wrote(1, "closedate")
    assert [night and night[0][1][:10] for night in written] == [[], "2026-08-03", [], "2026-08-24", []]
    [reason] = story.held(2, 1, "closedate")
    assert reason.startswith("undone by a person on 2026-")


# -- two writers --------------------------------------------------------------------------------------------------------------
FROZEN = "frozen: two writers alternate on this field (T-05); once it has one writer: tundish thaw"


@pytest.mark.parametrize(("name", "value", "ours"), [("hubspot_owner_id", "41002", "owner_id"), ("closedate", "2026-08-03", "close_date")])
def test_a_second_hub_and_the_vendors_own_sync_are_stopped_within_three_moves(name: str, value: str, ours: str, story: Story) -> None:
    written = [[str(after)[: len(value)] for _, after in night] for night in story.wrote(0, name)]
    assert written == [[], [value], [value], [], []]
    assert story.held(3, 0, name) == story.held(4, 0, name) == [FROZEN]
    [records] = [one.records for one in story.frozen if one.field == ours]
    assert ("hubspot", "deals", DEALS[0]) in records


def test_what_a_person_thawed_is_written_again(story: Story) -> None:
    assert story.late is not None
    assert {"hubspot_owner_id", "closedate"} == {c.field for c in story.late.changes if c.vendor_id == DEALS[0]}


def test_a_fight_is_one_value_over_the_same_other_one_within_the_days() -> None:
    key = ("hs", "deals", "1", "amount")

    def ours(*days: float, before: str = "1", **more: Any) -> list[tuple[Any, list[Written]]]:
        return [(key, [Written("2", NOW + timedelta(days=d), before, **more) for d in days])]

    week = timedelta(days=7)
    assert set(fights(ours(0, 6), {}, week, 2)) == {key}
    assert fights(ours(0, 8), {}, week, 2) == {}
    assert fights(ours(0), {}, week, 2) == {}
    assert fights(ours(0, 6, undone=True), {}, week, 2) == {}
    assert fights([(key, [*ours(0)[0][1], *ours(6, before="3")[0][1]])], {}, week, 2) == {}
    assert fights(ours(0, 6), {key: NOW + timedelta(days=1)}, week, 2) == {}
    assert [our_moves(times) for times in (2, 3, 4, 5)] == [2, 2, 2, 3]


# -- what was seen may be old ------------------------------------------------------------------------------------------------
def test_an_edit_between_pull_and_plan_is_seen(story: Story) -> None:
    assert story.late is not None
    assert [h.field for h in story.late.held if h.reason == "changed in the vendor since the last sync; sync again"] == [
        "amount",
        "closedate",
    ]
    assert not [c for c in story.late.changes if c.vendor_id == DEALS[1] or c.field == "amount"]
