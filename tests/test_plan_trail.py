"""What the ledger tells of a plan afterwards, on SQLite and PostgreSQL: states, notes and the audit trail; and how it is shown."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from test_hostile_text import EVIL, NOW, PLAN, STEERING
from two_vendors import Table

from core import ledger_tables as t
from core.carry_out import apply_plan, undo_run
from core.change import Change
from core.errors import UnsafePlan, UserError
from core.ledger_audit import Entry, audit
from core.ledger_forget import forget_records
from core.ledger_notes import Note, add_note, notes_about
from core.ledger_states import State
from jobs import show_audit, show_plan
from jobs.choosing import EVERYTHING, Choice
from jobs.plan_pages import diff_csv
from jobs.report import render
from jobs.report.tables import write_sections

WROTE = Change("c1", "hubspot", "contacts", EVIL, "email", "text", "jane@example.com", EVIL, EVIL, "derived", "D-01", "per_1")
ENTRY = Entry(NOW, EVIL, "apply", "a1", "p1", WROTE, WROTE.before, WROTE.after, "applied", EVIL, EVIL)


@pytest.fixture
def table(url: str) -> Iterator[Table]:
    made = Table(url)
    yield made
    made.line.ledger.close()


def test_the_trail_has_both_ways_with_their_values(table: Table) -> None:
    run, _ = table.apply()
    table.one.records["b"]["stage"] = "M40"
    undo, _ = table.undo(run)
    trail = list(audit(table.line.ledger))
    said = {(e.kind, e.change.vendor_id): (e.by, e.before, e.after, e.outcome, e.undo) for e in trail}
    assert said == {
        ("apply", "a"): ("ana", "M10", "M20", "applied", f"{undo} undone"),
        ("apply", "b"): ("ana", "M10", "M20", "applied", f"{undo} kept"),
        ("apply", "c"): ("ana", "M10", "M20", "applied", f"{undo} undone"),
        ("undo", "a"): ("ben", "M20", "M10", "undone", ""),
        ("undo", "b"): ("ben", "M40", "M10", "kept", ""),
        ("undo", "c"): ("ben", "M20", "M10", "undone", ""),
    }
    at = trail[0].at
    assert [len(list(audit(table.line.ledger, since=at))), len(list(audit(table.line.ledger, until=at)))] == [6, 0]
    assert {s.status for s in table.plans.states(table.plan.plan_id).values()} == {"undone", "kept"}


@pytest.mark.parametrize("body", [b"", b"torn", zlib.compress(b'{"changes": []}'), None])
def test_a_plan_that_is_not_what_was_saved_is_refused(table: Table, body: bytes | None) -> None:
    """Its id is what people reviewed: what stands in the ledger under it now must be that."""
    plan = t.plan.c
    with table.line.ledger.write() as c:
        kept = zlib.decompress(c.execute(select(plan.body)).scalar_one())
        c.execute(update(t.plan).values(body=zlib.compress(kept.replace(b"M20", b"M80")) if body is None else body))
    with pytest.raises(UnsafePlan, match="not what was saved"):
        table.plans.load("latest")


def test_an_empty_id_names_no_plan(table: Table) -> None:
    with pytest.raises(UserError, match="the plan's id is empty"):
        table.plans.load("")
    assert table.plans.load().plan_id == table.plans.load("latest").plan_id == table.plan.plan_id


def test_notes_go_with_the_erased_record_they_are_about(table: Table) -> None:
    change = table.plan.changes[0]
    subjects = [f"change:{change.change_id}", f"plan:{table.plan.plan_id}"]
    for about in subjects:
        add_note(table.line.ledger, Note(about, "ask Jane", "ana", NOW))
    assert [n.author for n in notes_about(table.line.ledger, subjects)] == ["ana", "ana"]
    forget_records(table.line.ledger, [(change.account, change.target, change.vendor_id)], NOW)
    assert [n.about for n in notes_about(table.line.ledger, subjects)] == subjects[1:]
    with pytest.raises(UserError, match="was erased with a person"):
        table.plans.load(table.plan.plan_id)


# -- how it is shown ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("format_", ["table", "md", "csv", "html"])
@pytest.mark.parametrize("by", ["rule", "record"])
def test_a_page_with_hostile_texts_steers_nothing(format_: str, by: str) -> None:
    states = {"c1": State("rejected", EVIL, NOW, EVIL)}
    notes = [Note("change:c1", EVIL, EVIL, NOW), Note("plan:abc", EVIL, EVIL, NOW)]
    page = show_plan.page_of(PLAN, status="partial", now=NOW, states=states, notes=notes, choice=Choice(only=frozenset([EVIL])), by=by)
    assert len(page["changes"]) == 1
    data = {"as_of": NOW.isoformat(), "organisation": EVIL, "plan": page}
    shown = show_plan.page_text(page) if format_ == "table" else render(data, format_, "plan")
    assert shown.count("HYPERLINK") > 3
    assert not STEERING.search(shown)
    assert format_ != "html" or "<script>alert" not in shown
    assert format_ != "csv" or not re.search(r'(^|,|")=', shown, re.MULTILINE)


@pytest.mark.parametrize("format_", ["table", "md", "csv", "html"])
def test_a_trail_with_hostile_texts_steers_nothing(format_: str) -> None:
    rows = [show_audit.shown(ENTRY, personal=False)]
    sections = show_audit.brief(rows)
    shown = "".join(show_audit.to_csv(rows)) if format_ == "csv" else write_sections(EVIL, "Audit trail", NOW, sections, format_)
    assert "HYPERLINK" in shown
    assert not STEERING.search(shown)
    assert "jane" not in shown
    assert format_ != "html" or "<script>alert" not in shown
    assert format_ != "csv" or not re.search(r'(^|,|")=', shown, re.MULTILINE)


def test_an_empty_trail_says_what_was_asked_for() -> None:
    assert show_audit.brief([])[0].text == "nothing was written"
    assert show_audit.brief([], asked="--rule ZZ")[0].text == "nothing was written that fits --rule ZZ"


def test_a_run_ends_when_it_ends(table: Table) -> None:
    later = NOW + timedelta(minutes=9)
    run, _ = apply_plan(table.line, table.plan, table.hands(), NOW, clock=lambda: later)
    undo, _ = undo_run(table.line, run, table.hands(), NOW, clock=lambda: later)
    assert {r["id"]: r["ended_at"] for r in table.plans.applies()} == {run: later, undo: later}


def test_personal_values_are_shown_only_to_who_asks_for_them() -> None:
    assert show_audit.shown(ENTRY, personal=False)["before"] == "<not shown>"
    assert show_audit.shown(ENTRY, personal=True)["before"] == "jane@example.com"


# -- choosing and comparing -----------------------------------------------------------------------------------------------------
def change(n: int, **more: object) -> Change:
    plain = Change(f"{n:016x}", "hubspot", "contacts", str(n), "stage", "text", None, "M20", "why", "derived", "D-01", "")
    return replace(plain, **more)  # type: ignore[arg-type]


def test_words_of_one_kind_widen_and_of_several_narrow() -> None:
    one, other = change(1), change(2, account="salesforce", target="Contact", rule="S-02")
    both = Choice(accounts=frozenset(["hubspot", "salesforce"]))
    assert [both.keeps(one), both.keeps(other)] == [True, True]
    assert not replace(both, rules=frozenset(["S-02"])).keeps(one)
    assert Choice(only=frozenset([one.change_id[:8]])).keeps(one)
    assert not Choice(only=frozenset([one.change_id[:7]])).keeps(one)
    named = Choice(records=frozenset([("salesforce", "people", "2")]), resources={("salesforce", "Contact"): "people"})
    assert [named.keeps(one), named.keeps(other)] == [False, True]
    assert EVERYTHING.of([], "") == []


def test_a_change_that_is_named_and_not_there_is_told_and_the_others_wait() -> None:
    """Who approves two changes and mistypes one must not learn later that one was written."""
    given = [change(1), change(2, field="owner")]
    ids = frozenset([given[0].change_id])
    assert Choice(only=ids).of(given, "see") == [given[0]]
    assert Choice(only=frozenset(["stage", "owner"])).of(given, "see") == given
    for wrong, told in (
        (Choice(only=ids | {"ffffffff00000000"}), "--only ffffffff00000000 matches no change"),
        (Choice(only=ids | {"ffff"}), "--only ffff matches no change; an id needs its first 8 characters"),
        (Choice(fields=frozenset(["stage", "amount"])), "--field amount matches no change"),
        (Choice(records=frozenset([("hubspot", "contacts", "1"), ("hubspot", "contacts", "9")])), "--record hubspot:contacts:9 matches"),
    ):
        with pytest.raises(UserError, match=told):
            wrong.of(given, "see")


def test_two_plans_differ_by_what_was_added_is_gone_and_changed() -> None:
    made = replace(PLAN, changes=(change(1), change(2), change(3)))
    other = replace(PLAN, changes=(change(2), change(3, after="M30"), change(4)), expires_at=NOW + timedelta(days=1))
    found = show_plan.difference(made, other)
    assert [[c["vendor_id"] for c in found[name]] for name in ("added", "gone")] == [["4"], ["1"]]
    assert [(c["old"]["after"], c["new"]["after"]) for c in found["changed"]] == [("M20", "M30")]
    assert found["same"] == 1
    assert [t.title for t in show_plan.difference_tables(found)] == ["Added: 1", "Gone: 1", "Changed: 1"]
    assert [row[0] for row in show_plan.difference_tables(found)[2].rows] == ["was", "is"]


def test_a_difference_as_a_sheet_says_of_each_line_what_it_is() -> None:
    """Even of one kind alone: who opens the sheet must not take what is gone for what came."""
    gone, was = change(1), change(2)
    now = replace(was, after="=M30", change_id="f" * 16)
    found = show_plan.difference(replace(PLAN, changes=(gone, was)), replace(PLAN, changes=(now,)))
    lines = [line.split(",") for line in diff_csv(found).splitlines()]
    assert [line[0] for line in lines] == ["difference", "gone", "was", "is"]
    assert lines[3][3:7] == ["2", "stage", "", "'=M30"]
    assert diff_csv(show_plan.difference(PLAN, PLAN)).splitlines() == [",".join(lines[0])]


def test_a_part_of_a_plan_does_not_claim_the_requests_of_the_whole() -> None:
    plan = replace(PLAN, changes=(change(1), change(2)), requests={"hubspot": 9})
    page = plan.to_json() | {"of": 2}
    assert "requests it costs: hubspot 9" in show_plan.page_text(page)
    assert "requests" not in show_plan.page_text(page | {"changes": page["changes"][:1]})
