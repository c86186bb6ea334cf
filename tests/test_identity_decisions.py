"""What people decide about who is who: the file, the ledger, the commands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sandbox_hub import Standing, standing, tundish
from unified_rows import NOW

from core.errors import UserError
from core.identity_decisions import Decision, agreed, contradiction, load_identity
from core.ledger import Ledger
from core.ledger_identity import decide, decided, history, take_back
from jobs.identity import unknown_texts

DAY = timedelta(days=1)
RESOURCES = {"hubspot": ["contacts", "deals"], "salesforce": ["Contact"]}


# -- the file ----------------------------------------------------------------------------------------------------------------
def read(tmp_path: Path, text: str) -> tuple[Decision, ...]:
    path = tmp_path / "identity.yaml"
    path.write_text(text)
    return load_identity(path, RESOURCES)


def test_links_join_all_records_of_an_entry_and_cuts_part_every_two(tmp_path: Path) -> None:
    said = read(
        tmp_path,
        """
links:
  - {records: [hubspot:contacts:1, salesforce:Contact:2, hubspot:contacts:3], why: one}
cuts:
  - records: [hubspot:contacts:4, hubspot:contacts:5, hubspot:contacts:6]
    why: three
""",
    )
    assert [(d.verdict, d.left[-1], d.right[-1]) for d in said] == [
        ("one", "1", "2"), ("one", "2", "3"), ("two", "4", "5"), ("two", "4", "6"), ("two", "5", "6"),
    ]  # fmt: skip
    assert said[0].where.endswith("identity.yaml:3:5")


def test_every_mistake_is_told_with_its_place(tmp_path: Path) -> None:
    assert [line.split(": ")[0] for line in mistakes(tmp_path, SHAPES)] == ["2:15", "3:16", "4:5", "5:1"]
    assert "write account:resource:id" in mistakes(tmp_path, SHAPES)[1]
    lines = mistakes(tmp_path, NAMES)
    assert [line.split(": ")[0] for line in lines] == ["2:36", "3:16", "4:36"]
    assert "did you mean 'hubspot'" in lines[0]
    assert "did you mean 'contacts'" in lines[1]


SHAPES = """links:
  - {records: [hubspot:contacts:7], why: x}
  - {records: [contacts/7, hubspot:contacts:8], why: x}
  - {records: [hubspot:contacts:1, hubspot:contacts:2]}
cut: []
"""
NAMES = """links:
  - {records: [hubspot:contacts:1, hubspt:contacts:2], why: x}
  - {records: [hubspot:contact:1, hubspot:contacts:3], why: x}
  - {records: [hubspot:contacts:1, hubspot:contacts:1], why: x}
"""


def mistakes(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(UserError) as told:
        read(tmp_path, text)
    return [line.split("identity.yaml:")[1] for line in str(told.value).splitlines()]


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("{records: [hubspot:contacts:7], why: x}", "2:15: at least 2 are needed, 1 given"),
        ("{records: [hubspot:contacts:7, hubspot:contacts:8], why: ' '}", "say why"),
    ],
)
def test_a_decision_names_two_records_and_a_reason(tmp_path: Path, entry: str, told: str) -> None:
    assert told in mistakes(tmp_path, f"links:\n  - {entry}\n")[0]


def test_records_nobody_knows_and_two_kinds_are_told_alike() -> None:
    known = {"a:b:1": "person", "a:b:2": "deal"}
    said = [Decision("a:b:1", "a:b:2", "one", where="f:1:1"), Decision("a:b:1", "a:b:9", "two", where="f:2:1")]
    assert unknown_texts(said, known) == [
        "f:1:1: a:b:1 is a person, a:b:2 a deal; the decision says nothing",
        "f:2:1: no record a:b:9 was ever pulled; the decision says nothing",
    ]


def test_a_cut_of_what_links_make_one_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"identity.yaml:5:36: `links` says"):
        read(
            tmp_path,
            """links:
  - {records: [hubspot:contacts:1, hubspot:contacts:2], why: x}
  - {records: [hubspot:contacts:2, hubspot:contacts:3], why: x}
cuts:
  - {records: [hubspot:contacts:1, hubspot:contacts:3], why: x}
""",
        )


def test_the_file_comes_before_the_ledger_and_the_last_decision_before_earlier_ones() -> None:
    first, last, filed = (
        Decision("a:b:1", "a:b:2", "one"),
        Decision("a:b:2", "a:b:1", "two"),
        Decision("a:b:1", "a:b:2", "one", where="f:1:1"),
    )
    assert agreed([], [first, last]) == (last,)
    assert agreed([filed], [first, last]) == (filed,)
    links = [Decision("a:b:1", "a:b:2", "one"), Decision("a:b:3", "a:b:2", "one")]
    assert contradiction([*links, Decision("a:b:1", "a:b:4", "two")]) is None
    assert contradiction([*links, Decision("a:b:1", "a:b:3", "two")]) is not None


# -- the ledger ----------------------------------------------------------------------------------------------------------------
def test_a_decision_holds_until_it_is_taken_back_and_an_earlier_one_comes_to_hold_again(url: str) -> None:
    ledger = Ledger(url)
    pair = ("a:b:1", "a:b:2")
    decide(ledger, Decision(*pair, "one", "x"), "ada", NOW)
    second = decide(ledger, Decision(*pair, "two", "y"), "bob", NOW + DAY)
    assert [d.verdict for d in agreed([], decided(ledger, NOW + DAY))] == ["two"]
    assert [d.verdict for d in agreed([], decided(ledger, NOW))] == ["one"]
    take_back(ledger, second, "cem", NOW + 2 * DAY)
    assert [d.verdict for d in agreed([], decided(ledger, NOW + 2 * DAY))] == ["one"]
    assert [d.verdict for d in agreed([], decided(ledger, NOW + DAY))] == ["two"]  # as it was
    assert [(k.author, k.undone_by) for k in history(ledger)] == [("ada", None), ("bob", "cem")]
    with pytest.raises(UserError, match="taken back before"):
        take_back(ledger, second, "cem", NOW + 3 * DAY)
    with pytest.raises(UserError, match="no decision"):
        take_back(ledger, "id-none", "cem", NOW)
    ledger.close()


# -- the commands -----------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    with standing(tmp_path_factory.mktemp("identity"), vendors=["hubspot", "salesforce"], rules=["I-01", "I-09"]) as it:
        assert tundish("--config", it.config, "sync").code == 0
        assert tundish("--config", it.config, "reconcile").code == 0
        yield it


def say(sandbox: Standing, *words: str) -> tuple[int, dict]:
    said = tundish("--config", sandbox.config, *words, "--json")
    return said.code, json.loads(said.out)


def persons(sandbox: Standing) -> dict[str, str]:
    """record → entity of live HubSpot contacts."""
    query = "SELECT account || ':' || resource || ':' || vendor_id AS record, entity_id FROM member WHERE live AND resource = 'contacts'"
    return {row["record"]: row["entity_id"] for row in sandbox.hub.lake.sql(query + " ORDER BY 1").to_pylist()}


def test_a_link_and_its_undo_go_through_the_whole_line(sandbox: Standing) -> None:
    before = persons(sandbox)
    a, b = list(before)[:2]
    assert before[a] != before[b]
    code, said = say(sandbox, "link", a, b, "--why", "same desk", "--by", "ada")
    assert (code, said["verdict"]) == (0, "one")
    assert say(sandbox, "link", b, a, "--why", "again")[1]["decision"] == said["decision"]  # said twice is said once
    say(sandbox, "reconcile")
    joined = persons(sandbox)
    assert joined[a] == joined[b]
    _, way = say(sandbox, "explain", a, "--to", b)
    assert [step["because"] for step in way["path"]] == ["a person said so: same desk"]
    _, past = say(sandbox, "explain", next(before[r] for r in (a, b) if before[r] != joined[a]))
    assert (past["entity_id"], [h["change"] for h in past["history"]]) == (joined[a], ["merged"])
    _, listed = say(sandbox, "link", "--list")
    assert [(d["author"], d["status"], d["why"]) for d in listed["decisions"]] == [("ada", "holds", "same desk")]
    sandbox.clock.advance(60)
    code, again = say(sandbox, "unlink", "--undo", said["decision"])
    assert (code, again) == (0, {"undone": said["decision"]})
    say(sandbox, "reconcile")
    assert persons(sandbox) == before
    rows = sandbox.hub.lake.sql("SELECT change, entity_id FROM entity_change ORDER BY changed_at, run_id").to_pylist()
    assert [row["change"] for row in rows] == ["merged", "split"]
    assert {row["entity_id"] for row in rows} == {before[r] for r in (a, b)} - {joined[a]}


def test_a_cut_is_told_by_explain_without_addresses(sandbox: Standing) -> None:
    query = "SELECT left_key, right_key FROM link WHERE kind = 'person' AND evidence = 'email' ORDER BY ALL LIMIT 1"
    pair = list(sandbox.hub.lake.sql(query).to_pylist()[0].values())
    _, said = say(sandbox, "unlink", *pair, "--why", "father and son")
    say(sandbox, "reconcile")
    told = tundish("--config", sandbox.config, "explain", pair[0], "--to", pair[1])
    assert "nothing that is believed joins them" in told.out
    assert "since people said that the two are not one" in told.out
    assert "@" not in told.out
    say(sandbox, "link", "--undo", said["decision"])
    say(sandbox, "reconcile")


def test_what_cannot_be_decided_is_refused_with_the_next_step(sandbox: Standing) -> None:
    a, b = list(persons(sandbox))[:2]
    deal = sandbox.hub.lake.sql("SELECT account || ':' || resource || ':' || vendor_id AS r FROM deal ORDER BY 1 LIMIT 1").to_pylist()[0][
        "r"
    ]
    for words, told in (
        (["link", a, b], "--why"), (["link", a, "--why", "x"], "two records"), (["link", a, a, "--why", "x"], "one record"),
        (["link", a, "hubspot:contacts:none", "--why", "x"], "ever pulled"), (["unlink", a, "per_1", "--why", "x"], "not a record"),
        (["link", a, "hubspt:contacts:1", "--why", "x"], "did you mean"), (["link", a, deal, "--why", "x"], "a deal"),
        (["explain", a, "--to", a], "are one record"), (["link", a, b, "--list"], "different things"),
        (["link", a, b, "--why", " "], "--why"), (["link", "--undo", ""], "no decision"),
    ):  # fmt: skip
        code, said = say(sandbox, *words)
        assert (code, told in said["error"]) == (2, True), said
        assert said["next"] or "did you mean" in told


def test_what_holds_after_a_decision_was_taken_back_or_said_again_is_told(sandbox: Standing) -> None:
    def told(*words: str) -> str:
        return tundish("--config", sandbox.config, *words).out

    a, b = list(persons(sandbox))[:2]
    first = say(sandbox, "link", a, b, "--why", "x")[1]["decision"]
    assert f"already, by {first}: its reason is kept" in told("link", b, a, "--why", "another")
    sandbox.clock.advance(60)
    second = say(sandbox, "unlink", a, b, "--why", "y")[1]["decision"]
    sandbox.clock.advance(60)
    assert f"goes by {first}: they are one" in told("link", "--undo", second)
    assert "goes by the evidence again" in told("link", "--undo", first)
    assert say(sandbox, "link", a, "hubspot:contact:1", "--why", "x")[1]["next"].endswith("did you mean 'contacts'?")


def test_decisions_that_contradict_others_are_refused(sandbox: Standing) -> None:
    a, b, c = list(persons(sandbox))[:3]
    ids = [say(sandbox, "link", *pair, "--why", "x")[1]["decision"] for pair in ((a, b), (b, c))]
    code, said = say(sandbox, "unlink", a, c, "--why", "x")
    assert (code, "say the opposite" in said["error"]) == (2, True)
    for id_ in ids:
        say(sandbox, "link", "--undo", id_)


def test_the_file_is_followed_told_and_comes_first(sandbox: Standing) -> None:
    a, b = list(persons(sandbox))[:2]
    path = sandbox.home / "identity.yaml"
    path.write_text(f"links:\n  - {{records: ['{a}', '{b}', 'hubspot:contacts:none'], why: same desk}}\n")
    try:
        code, said = say(sandbox, "unlink", a, b, "--why", "x")
        assert (code, said["where"].endswith("identity.yaml:2:5")) == (2, True)
        _, found = say(sandbox, "reconcile")
        assert [d["right"] for d in found["unknown_decisions"]] == ["hubspot:contacts:none"]
        assert persons(sandbox)[a] == persons(sandbox)[b]
        _, checked = say(sandbox, "check", "--offline")
        assert any(c["what"] == "identity" and "hubspot:contacts:none" in c["text"] for c in checked["checks"])
    finally:
        path.unlink()
    say(sandbox, "reconcile")


def test_what_was_decided_about_a_forgotten_person_is_erased(sandbox: Standing) -> None:
    a, b = list(persons(sandbox))[-2:]
    say(sandbox, "unlink", a, b, "--why", "x")
    assert say(sandbox, "forget", b, "--yes")[0] == 0
    assert all(b not in (d["left"], d["right"]) for d in say(sandbox, "link", "--list")[1]["decisions"])
