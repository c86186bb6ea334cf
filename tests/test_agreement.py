"""How far two systems agree, what their stages mean, and who is in no number: from literal records."""

from __future__ import annotations

from typing import Any

import ibis
import pytest
from unified_rows import NOW, row, tables

from core.agreement import Agreement, agreement
from core.compiled import Compiled, over
from core.facts import facts
from core.pipeline import Understanding
from core.resolve import resolve
from core.stages_seen import stages_seen
from jobs.left_out import left_out

MAIL = {"email": "ada@example.org"}
GIVEN: dict[str, list[dict[str, Any]]] = {
    "person": [
        row("person", "hubspot", "1", **MAIL, first_name="Ada ", last_name="Lovelace", stage="M30", raw_stage="mql", company_name="Loom",
            marketable=True),
        row("person", "salesforce", "s1", **MAIL, first_name="ada", last_name="LOVELACE", stage="M40", marketable=True),
        row("person", "mailchimp", "m1", **MAIL, raw_stage="pending", consent="pending", marketable=False),
        row("person", "hubspot", "2", email="bob@example.org", last_name="Bob"),
        row("person", "salesforce", "s2", email="bob@example.org", last_name="Rob"),
        row("person", "hubspot", "3", email="me@ours.example", raw_stage="strange"),
    ],
    "deal": [
        row("deal", "hubspot", "d1", amount="100", currency="eur", close_date="2026-05-01", stage="M50", raw_stage="appt", pipeline_id="p1",
            links=["salesforce:Opportunity:o1"]),
        row("deal", "salesforce", "o1", amount="100.00", currency="EUR", close_date="2026-05-02", stage="M50"),
        row("deal", "hubspot", "d2", raw_stage="nobody mapped it"),
    ],
}  # fmt: skip
GIVEN["stage_definition"] = [
    row("stage_definition", "hubspot", "p1:appt", record_kind="deal", pipeline_id="p1", pipeline_label="Sales", label="Appointment"),
    row("stage_definition", "hubspot", "x:mql", record_kind="person", pipeline_id="x", label="Marketing qualified"),
]
FUNNEL = {"exclude": {"domains": ["ours.example"]}}


@pytest.fixture(scope="module")
def known() -> tuple[Understanding, Compiled]:
    ibis.set_backend(ibis.duckdb.connect())
    given = tables(**GIVEN)
    run = over(given, FUNNEL)
    members = resolve(given, FUNNEL, compiled=run).members
    found = facts(given, members, FUNNEL, NOW, run)
    return Understanding("r", NOW, given, members, found, members, run), run.also("report")


def test_what_both_say_is_compared_without_case_blanks_and_zeros(known: tuple[Understanding, Compiled]) -> None:
    found = {(one.field, one.left, one.right): (one.both, one.equal) for one in agreement(known[0].facts, known[1]) if one.kind == "person"}
    assert found == {
        ("stage", "hubspot", "salesforce"): (1, 0),  # a subscription, as Mailchimp knows it, is no stage of a sale
        ("name", "hubspot", "salesforce"): (1, 1),  # Bob has no first name: nothing is said
        ("may be mailed", "hubspot", "salesforce"): (1, 1),
        ("may be mailed", "hubspot", "mailchimp"): (1, 0),
        ("may be mailed", "mailchimp", "salesforce"): (1, 0),
    }  # fmt: skip


def test_amounts_are_compared_with_their_currency_and_deals_that_stand_alone_not_at_all(known: tuple[Understanding, Compiled]) -> None:
    deals = [one for one in agreement(known[0].facts, known[1]) if one.kind == "deal"]
    assert deals == [
        Agreement("deal", field, "hubspot", "salesforce", 1, equal)
        for field, equal in (("stage", 1), ("outcome", 1), ("amount", 1), ("close date", 0))
    ]


def test_the_stage_map_has_labels_what_they_mean_how_many_stand_there_and_what_nobody_mapped(known: tuple[Understanding, Compiled]) -> None:
    found = stages_seen(known[0].facts, known[0].tables, known[1])
    assert [(s.kind, s.pipeline, s.stage, s.milestone, s.unmapped, s.n) for s in found] == [
        ("deal", None, "nobody mapped it", None, True, 1), ("deal", "Sales", "Appointment", "M50", False, 1),
        ("person", None, "strange", None, True, 1), ("person", None, "Marketing qualified", "M30", False, 1),
    ]  # fmt: skip


def test_who_is_in_no_number_is_counted_with_the_whole(known: tuple[Understanding, Compiled]) -> None:
    assert left_out(*known) == [
        {"what": "persons (colleagues and tests)", "n": 1, "of": 3}, {"what": "deals in a stage no mapping names", "n": 1, "of": 2},
    ]  # fmt: skip
