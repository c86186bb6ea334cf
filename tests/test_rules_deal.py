# ruff: noqa: E501  (the literals are tables)
"""Deal rules from literals: what lacks, what cannot be right, what wanders; each beside its near miss."""

from __future__ import annotations

from typing import Any

from rule_families import (  # noqa: F401
    findings,
    pytest_generate_tests,
    test_a_rule_finds,
    test_a_rule_leaves_the_near_miss_alone,
    test_every_rule_has_a_hit_a_near_miss_and_an_exact_sentence,
)
from test_reconcile import LOST, OWNERS, PIPELINE, RECENTLY, WON, contact, found_in, hit, hs, miss, on_deal, path, sf
from unified_rows import row

A, Q, P, C = ("appointmentscheduled", "qualifiedtobuy", "presentationscheduled", "contractsent")
MINE = ("D-04", "D-07", "D-08", "D-10", "D-12", "D-13", "D-14", "D-16", "D-17")
ALIVE = {"last_activity_at": "2026-06-28"}


def partner(id: str, **values: Any) -> dict[str, Any]:
    """An open deal in a system that keeps neither close dates nor reasons nor activities."""
    return row(
        "deal",
        "activecampaign",
        id,
        stage="M50",
        pipeline_stage="Qualifying",
        closed=False,
        won=False,
        amount=500,
        currency="EUR",
        **values,
    )


def stage(name: str, probability: float) -> dict[str, Any]:
    return row("stage_definition", "salesforce", name, record_kind="deal", raw_stage=name, probability=probability)


def task(deal: str, due: str | None, done: bool | None = False) -> dict[str, Any]:
    return row("task", "salesforce", f"{deal}:{due}:{done}", resource="Task", deal_id=deal, due_at=due, done=done)


def items(deal: str, *amounts: float | None, apart: bool = False, **values: Any) -> dict[str, list[dict[str, Any]]]:
    """Line items that name their deal, or `apart`: associations name both."""
    names = [f"{deal}i{i}" for i in range(len(amounts))]
    own = {"resource": "line_items", "currency": "EUR", "deal_id": None if apart else deal, **values}
    edges = [
        row("association", "hubspot", f"{deal}:{n}", from_kind="line_items", from_id=n, to_kind="deals", to_id=deal) for n in names if apart
    ]
    return {
        "line_item": [row("line_item", "hubspot", n, amount=a, **own) for n, a in zip(names, amounts, strict=True)],
        "association": edges,
    }


WONS = [hs(f"won{i}", **{**WON, "amount": amount, "pipeline_id": "p"}) for i, amount in enumerate([900] * 5 + [1000] + [1100] * 5)]
BOTH = [("M50", Q, "0.6"), ("M60", P, "0.75")]
CASES = [
    hit("D-04", "euros here, dollars there: a person decides", "d04a d04b", {"fix": None, "values": {"hubspot": "EUR", "salesforce": "USD"}},
        deal=[hs("d04a", **ALIVE), sf("d04b", "d04a", currency="USD")]),
    miss("D-04", "one currency in small letters; changed just now; a blank",
         deal=[hs("d04c", currency="eur"), sf("d04d", "d04c"), hs("d04e", updated_at=RECENTLY), sf("d04f", "d04e", currency="USD"),
               hs("d04g", currency=None), sf("d04h", "d04g")]),
    hit("D-07", "three times to a later quarter", "d07a", {"values": {"hubspot": "2025-12-20 → 2026-09-20"}, "evidence.notes": ["pushed to a later quarter 3 times"]},
        deal=[hs("d07a")],
        stage_change=path("hubspot", "d07a", ("2025-12-20T12:00:00Z", "2025-10-01", None), ("2026-03-01T12:00:00Z", "2025-12-01", None),
                          ("2026-04-01", "2026-03-01", None), ("2026-05-20", "2026-03-15", None), ("2026-09-20", "2026-05-01", None), field="close_date")),
    miss("D-07", "twice; three times within a quarter; pulled in; won by now",
         deal=[hs("d07b"), hs("d07c"), hs("d07d"), hs("d07e", **WON)],
         stage_change=[
             *path("hubspot", "d07b", ("2026-03-01", "2026-01-01", None), ("2026-06-01", "2026-02-01", None), ("2026-09-01", "2026-03-01", None), field="close_date"),
             *path("hubspot", "d07c", ("2026-04-01", "2026-01-01", None), ("2026-04-20", "2026-02-01", None), ("2026-05-20", "2026-03-01", None),
                   ("2026-06-29", "2026-04-01", None), field="close_date"),
             *path("hubspot", "d07d", ("2027-03-01", "2026-01-01", None), ("2026-12-01", "2026-02-01", None), ("2026-09-01", "2026-03-01", None),
                   ("2026-08-01", "2026-04-01", None), field="close_date"),
             *path("hubspot", "d07e", ("2025-06-01", "2025-01-01", None), ("2025-09-01", "2025-02-01", None), ("2025-12-01", "2025-03-01", None),
                   ("2026-06-01", "2025-04-01", None), field="close_date")]),
    hit("D-08", "open, without a close date", "d08a", {"values": {"hubspot": None}}, deal=[hs("d08a", close_date=None)]),
    miss("D-08", "the mirror has one; lost; a system that keeps none; made just now",
         deal=[hs("d08b", close_date=None), sf("d08c", "d08b"), hs("d08d", **{**LOST, "close_date": None}), partner("d08e"),
               hs("d08f", close_date=None, updated_at=RECENTLY)]),
    hit("D-10", "60 % where the stage says 75", "d10a", {"values": {"salesforce": "60 %"}, "evidence.notes": ["the stage's default is 76 %"]},
        deal=[sf("d10a", raw_stage="Proposal", probability=0.60)],
        stage_change=[*path("salesforce", "d10a", ("Proposal", "2026-06-01", "M60")), *path("salesforce", "d10a", ("60", "2026-06-01", None), field="probability")]),
    miss("D-10", "15 points; set by a rep afterwards; no history of it; closed; a stage nobody defines",
         deal=[sf("d10b", raw_stage="Proposal", probability=0.61), sf("d10c", raw_stage="Proposal", probability=0.30),
               sf("d10d", raw_stage="Proposal", probability=0.30), sf("d10e", **{**LOST, "raw_stage": "Proposal", "probability": 0.0}),
               sf("d10f", raw_stage="Elsewhere", probability=0.3)],
         stage_change=[step for key in ("d10b", "d10c", "d10e", "d10f") for step in path("salesforce", key, ("Proposal", "2026-06-01", "M60"))]
         + [step for key in ("d10b", "d10e", "d10f") for step in path("salesforce", key, ("61", "2026-06-01", None), field="probability")]
         + path("salesforce", "d10c", ("76", "2026-06-01", None), ("30", "2026-06-02", None), ("30", "2026-06-09", None), field="probability")
         + path("salesforce", "d10d", ("Proposal", "2026-06-01", "M60"))),
    hit("D-12", "22 days without a sign", "d12a", {"values": {"hubspot": "2026-06-08"}, "evidence.notes": ["last activity 22 days ago"]},
        deal=[hs("d12a", last_activity_at="2026-06-08")]),
    hit("D-12", "15 days in a closing stage", "d12b", deal=[hs("d12b", stage="M70", pipeline_stage="Closing", last_activity_at="2026-06-15")]),
    hit("D-12", "never any activity, made long ago", "d12c", {"values": {"hubspot": None}}, deal=[hs("d12c")]),
    hit("D-12", "a call two months ago is all there is", "d12k", {"evidence.notes": ["last activity 60 days ago"]},
        deal=[sf("d12k")], task=[task("d12k", "2026-05-01", done=True), task("d12k", "2026-06-25")]),
    miss("D-12", "a call last week that the deal does not show, a meeting", deal=[hs("d12l", last_activity_at="2026-05-01"), sf("d12m", "d12l"), sf("d12n")],
         task=[task("d12m", "2026-06-23", done=True), task("d12n", "2026-06-24", done=None)]),
    miss("D-12", "20 days; 13 days when closing; the mirror was called; a system that keeps no activities; lost",
         deal=[hs("d12d", last_activity_at="2026-06-10"), hs("d12e", stage="M70", pipeline_stage="Closing", last_activity_at="2026-06-17"),
               hs("d12f", last_activity_at="2026-05-01"), sf("d12g", "d12f", last_activity_at="2026-06-29"), partner("d12h"),
               hs("d12i", **LOST), hs("d12j", created_at="2026-06-20")]),
    hit("D-13", "nothing planned", "d13a", deal=[hs("d13a", next_activity_at="2026-06-29")]),
    hit("D-13", "in Salesforce only a task that is done and one that is overdue", "d13b d13c", deal=[hs("d13b"), sf("d13c", "d13b")],
        task=[task("d13c", "2026-07-20", done=True), task("d13c", "2026-06-29")]),
    miss("D-13", "due today; a task without a date; a meeting in the other CRM; a system that tells nothing; lost; touched just now; the mirror cannot tell",
         deal=[hs("d13d", next_activity_at="2026-06-30T08:00"), sf("d13e"), hs("d13f"), sf("d13g", "d13f"), partner("d13h"),
               hs("d13i", **LOST), hs("d13j", updated_at=RECENTLY), hs("d13k"), partner("d13l", links=["hubspot:deals:d13k"])],
         task=[task("d13e", None), task("d13g", "2026-07-03T10:00", done=None)]),
    hit("D-14", "lost, nobody says why", "d14a", deal=[hs("d14a", **LOST)]),
    miss("D-14", "a reason in the mirror; won; open; a system that keeps none; lost just now",
         deal=[hs("d14b", **LOST), sf("d14c", "d14b", **LOST, lost_reason="Price"), hs("d14d", **WON), hs("d14e"),
               partner("d14f") | {"closed": True, "stage": "M85"}, hs("d14g", **LOST, updated_at=RECENTLY), hs("d14h", **LOST, lost_reason="Timing")]),
    hit("D-16", "21 times the median of won deals", "d16a", {"evidence.notes": ["21 times the median of won deals"]},
        deal=[*WONS, hs("d16a", amount=21_000, pipeline_id="p")]),
    hit("D-16", "no won deal in its pipeline: the currency's median", "d16b", deal=[hs("d16b", amount=50_000, pipeline_id="new")]),
    hit("D-16", "the deal's own id", "30001234", deal=[hs("30001234", amount=30001234, currency="JPY")]),
    hit("D-16", "the id of its mirror", "d16c", deal=[hs("d16c", amount=40001234, currency="JPY", links=["other:deals:40001234"])]),
    hit("D-16", "the phone number of its contact, which is not told", "d16d",
        {"values": {"hubspot": "(hidden)"}, "evidence.notes": ["the digits of a phone number of its contact"]},
        deal=[hs("d16d", amount=205550123, currency="JPY")], person=[contact("d16p", phone="+31 20 555-0123")], association=[on_deal("d16d", "d16p")]),
    miss("D-16", "just 20 times; another currency with few deals; six digits of an id; somebody else's phone",
         deal=[hs("d16e", amount=20_000, pipeline_id="p"), hs("d16f", amount=900_000, currency="USD"), hs("300123", amount=300123, currency="JPY"),
               hs("d16g", amount=205550123, currency="JPY")],
         person=[contact("d16q", phone="+31 20 555-0124")], association=[on_deal("d16g", "d16q")]),
    hit("D-17", "two per cent short", "d17a", {"evidence.notes": ["2 line items add up to 980"], "values": {"hubspot": "1000"}},
        deal=[hs("d17a")], **items("d17a", 500, 480)),
    hit("D-17", "joined by associations", "d17b", deal=[hs("d17b", **WON)], **items("d17b", 500, 600, apart=True)),
    miss("D-17", "half a per cent", deal=[hs("d17c")], **items("d17c", 500, 495)),
    miss("D-17", "paid every month", deal=[hs("d17d")], **items("d17d", 100, billing_period="monthly")),
    miss("D-17", "in another currency", deal=[hs("d17e")], **items("d17e", 900, currency="USD")),
    miss("D-17", "an item without a price; another system's deal of that id; none at all",
         deal=[hs("d17f"), sf("d17g"), hs("d17h")], line_item=[*items("d17f", 900, None)["line_item"], *items("d17g", 5)["line_item"]]),
    miss("D-17", "an item that was deleted", deal=[hs("d17i")], line_item=items("d17i", 5, deleted=True)["line_item"]),
    miss("D-17", "the deal was changed just now", deal=[hs("d17j", updated_at=RECENTLY)], **items("d17j", 5)),
]  # fmt: skip


BASE = {"owner": OWNERS, "stage_definition": [*PIPELINE, stage("Proposal", 0.76)]}


def test_what_nobody_keeps_is_not_missing_anywhere():
    bare = [partner("1"), partner("2") | {"closed": True, "stage": "M85"}]
    assert found_in(rules=["D-08", "D-12", "D-14"], deal=bare).num_rows == 0


def test_thresholds_of_the_funnel_hold():
    rows = {"deal": [hs("1", last_activity_at="2026-06-20")]}
    assert found_in(rules=["D-12"], **rows).num_rows == 0
    assert found_in(rules=["D-12"], funnel={"thresholds": {"activity_days": 9}}, **rows).num_rows == 1
