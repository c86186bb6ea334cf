"""What rules distrust stands in no average, wait or cohort, and every number says how much it leaves out."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest
from test_measure import LOST, MARCH, R20, WON, deal, steps_of
from test_reconcile import path
from unified_rows import NOW, row, tables

from core.compiled import over
from core.facts import facts
from core.measure import distrusted, measure, rows
from core.measure.distrust import DISORDERED, OUTLIER, STAMPED
from core.reconcile import reconcile
from core.resolve import resolve

RULES = ("T-03", "T-04", "D-16")
MONTHS = ("01", "02", "03", "04", "05")


class Judged:
    """Reconciled by the three rules, then measured; `accepted` are ids of entities whose findings somebody accepted."""

    def __init__(self, *families: str, as_of: datetime = NOW, funnel: Any = None, accepted: bool = False, **given: list[dict[str, Any]]):
        known, self.funnel, self.as_of = tables(**given), funnel or {}, as_of
        run = over(known, self.funnel)
        members = resolve(known, self.funnel, compiled=run).members
        self.facts = facts(known, members, self.funnel, as_of, run)
        self.findings = reconcile(known, members, self.facts, self.funnel, as_of, rules=RULES, compiled=run)
        if accepted:
            place = self.findings.schema.get_field_index("status")
            self.findings = self.findings.set_column(place, "status", pa.array(["accepted"] * self.findings.num_rows))
        self.facts["distrusted"] = run.give("fact.distrusted", distrusted(self.findings))
        self.metrics = measure(self.facts, self.funnel, as_of, families).to_pylist()

    @property
    def rules(self) -> list[str]:
        return sorted(self.findings["rule"].to_pylist())

    def one(self, name: str, **dims: Any) -> dict[str, Any]:
        (found,) = (m for m in self.metrics if m["name"] == name and dims.items() <= json.loads(m["dimensions"]).items())
        return {**found, "excluded": json.loads(found["excluded"]), "dimensions": json.loads(found["dimensions"])}


# -- persons -------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def r20() -> Judged:
    """p6 was qualified three days before he was a lead."""
    return Judged("funnel", as_of=MARCH, funnel={"thresholds": {"within_days": [45, 50]}}, **steps_of(R20))


def test_r20_without_the_person_whose_dates_are_out_of_order(r20: Judged) -> None:
    assert r20.rules == ["T-03"]
    for mode, reached in (("implied", [5, 4, 3, 2, 2]), ("strict", [5, 3, 2, 1, 1]), ("any", [5, 3, 2, 2, 2])):
        found = [r20.one("reach", cohort="2025-01", mode=mode, to=code) for code in ("M20", "M30", "M40", "M50", "M80")]
        assert [m["numerator"] for m in found] == reached
        assert [m["excluded"] for m in found] == [{DISORDERED: 1}] * 5
    assert r20.one("step", cohort="2025-01", mode="implied", to="M30")["excluded"] == {DISORDERED: 1}
    assert r20.one("reach", cohort="2025-02", mode="implied", to="M80")["excluded"] == {}


def test_r20_waits_without_him(r20: Judged) -> None:
    within = r20.one("reach_within", **{"from": "M20"}, to="M80", days=45)
    assert (within["numerator"], within["denominator"]) == (0, 5)
    assert within["excluded"] == {DISORDERED: 1, "not watched long enough": 3}
    assert r20.one("time_to_next", **{"from": "M20"}, to="M30", quantile="median")["excluded"] == {
        DISORDERED: 1,
        "reached, date unknown or before the start": 1,
    }


def test_r20_lists_the_persons_who_are_counted(r20: Judged) -> None:
    behind = rows(r20.facts, r20.funnel, r20.as_of, "reach", {"cohort": "2025-01", "mode": "implied", "to": "M30"})
    assert set(behind.to_pyarrow()["vendor_id"].to_pylist()) == {"p1", "p2", "p3", "p4"}


def test_who_accepts_the_finding_has_it_counted_again() -> None:
    found = Judged("funnel", as_of=MARCH, accepted=True, **steps_of(R20))
    assert [found.one("reach", cohort="2025-01", mode="implied", to=code)["numerator"] for code in ("M20", "M80")] == [6, 2]
    assert found.one("reach", cohort="2025-01", mode="implied", to="M20")["excluded"] == {}


def test_without_findings_nothing_is_left_out(r20: Judged) -> None:
    bare = {name: table for name, table in r20.facts.items() if name != "distrusted"}
    found = measure(bare, {}, MARCH, ("funnel",)).to_pylist()
    assert [m for m in found if DISORDERED in m["excluded"]] == []


def crowd(stamped: int, spread: int, code: str = "M20", **more: str) -> dict[str, list[dict[str, Any]]]:
    """Persons who became leads in one minute in May, and others day by day in June; who were qualified ten days later."""
    at = {f"b{i:02}": f"2026-05-04T10:00:{i:02}" for i in range(stamped)} | {f"s{i:02}": f"2026-06-{i + 1:02}" for i in range(spread)}
    later = {name: f"2026-05-{14 + i}" if name.startswith("b") else f"2026-06-{11 + i - stamped}" for i, name in enumerate(at)}
    changes = [
        row("stage_change", "hubspot", f"{name}:{stage}", record_kind="person", record_id=name, field="lifecycle", value=stage,
            stage=stage, entered_at=when)
        for steps, stage in ((at, "M20"), (later, "M30"))
        for name, when in steps.items()
    ]  # fmt: skip
    return {"person": [row("person", "hubspot", name, created_at="2026-01-01") for name in at], "stage_change": changes}


def test_a_cohort_that_an_import_dated_is_no_cohort() -> None:
    found = Judged("funnel", **crowd(12, 4))
    assert found.rules == ["T-04"]
    may = found.one("reach", cohort="2026-05", mode="implied", to="M30")
    assert (may["value"], may["denominator"], may["excluded"]) == (None, 0, {STAMPED: 12})
    june = found.one("reach", cohort="2026-06", mode="implied", to="M30")
    assert (june["numerator"], june["denominator"], june["excluded"]) == (4, 4, {})
    every = found.one("reach", cohort="all", mode="any", to="M30")
    assert (every["numerator"], every["denominator"], every["excluded"]) == (4, 4, {STAMPED: 12})


def test_a_wait_from_a_stamped_date_or_to_one_is_none() -> None:
    found = Judged("funnel", **crowd(12, 4))
    first = found.one("time_to_next", **{"from": "M20"}, to="M30", quantile="median")
    assert (first["value"], first["n"], first["excluded"]) == (10, 4, {STAMPED: 12})
    turned = crowd(12, 4)
    for change in turned["stage_change"]:  # now the later step is the one an import dated
        change["stage"] = change["value"] = {"M20": "M30", "M30": "M20"}[change["value"]]
        change["entered_at"] = change["entered_at"].replace(month=3) if change["value"] == "M20" else change["entered_at"]
    found = Judged("funnel", **turned)
    assert found.rules == ["T-04"]
    assert found.one("time_to_next", **{"from": "M20"}, to="M30", quantile="median")["excluded"] == {STAMPED: 12}
    assert found.one("time_to_next", **{"from": "M30"}, to="M40", quantile="median")["excluded"] == {STAMPED: 12}
    assert found.one("reach", cohort="2026-03", mode="implied", to="M30")["excluded"] == {}  # when it began is not in doubt


# -- deals ---------------------------------------------------------------------------------------------------------------
def moves(id: str, *steps: tuple[str, str]) -> list[dict[str, Any]]:
    return path("salesforce", id, *((code, at, code) for code, at in steps))


def test_a_deal_whose_dates_are_out_of_order_has_no_time_in_stage_and_no_cycle() -> None:
    sound = {"w1": ("2026-03-01", "2026-03-11", "2026-04-10"), "w2": ("2026-03-01", "2026-03-21", "2026-04-30")}
    deals = [deal(id, **{**WON, "created_at": at[0], "close_date": at[2], "amount": 100}) for id, at in sound.items()]
    deals.append(deal("odd", **{**WON, "created_at": "2026-03-01", "close_date": "2026-06-09", "amount": 100}))
    changes = [one for id, at in sound.items() for one in moves(id, *zip(("M50", "M60", "M80"), at, strict=True))]
    changes += moves("odd", ("M50", "2026-03-01"), ("M70", "2026-03-11"), ("M60", "2026-05-01"), ("M80", "2026-06-09"))
    person = [row("person", "salesforce", "p")]
    tie = [row("association", "salesforce", "a", from_kind="deal", from_id="odd", to_kind="person", to_id="p")]
    found = Judged("funnel", "pipeline", "winrate", deal=deals, stage_change=changes, person=person, association=tie)
    assert found.rules == ["T-03"]
    for code, days in (("M50", 10), ("M60", 30)):
        spent = found.one("time_in_stage", stage=code, quantile="median")
        assert (spent["value"], spent["n"], spent["excluded"]) == (days, 2, {DISORDERED: 1})
    velocity = found.one("velocity")
    assert (velocity["dimensions"]["mean_cycle_days"], velocity["excluded"]) == (50, {DISORDERED: 1})
    assert found.one("win_rate", by="count", period="last 365 days")["numerator"] == 3  # it was won, whenever it was
    waited = found.one("time_to_next", **{"from": "M50"}, to="M80", quantile="median")
    assert (waited["n"], waited["excluded"]) == (0, {DISORDERED: 1})  # his dates are the deal's


def test_spells_that_a_mass_update_began_or_ended_are_left_out() -> None:
    ids = [f"d{i:02}" for i in range(12)]
    deals = [deal(id, stage="M60", pipeline_stage="Proposing") for id in [*ids, "e0", "e1"]]
    changes = [one for i, id in enumerate(ids) for one in moves(id, ("M50", f"2026-03-{i + 1:02}"), ("M60", f"2026-05-04T10:00:{i:02}"))]
    changes += [one for id, day in (("e0", "12"), ("e1", "15")) for one in moves(id, ("M50", "2026-05-02"), ("M60", f"2026-05-{day}"))]
    found = Judged("pipeline", "winrate", deal=deals, stage_change=changes)
    assert found.rules == ["T-04"]
    before = found.one("time_in_stage", stage="M50", quantile="median")
    assert (before["value"], before["n"], before["excluded"]) == (10, 2, {STAMPED: 12})
    since = found.one("time_in_stage", stage="M60", quantile="median")
    assert (since["n"], since["numerator"], since["excluded"]) == (2, 0, {STAMPED: 12})


def test_won_in_a_mass_update_is_no_cycle() -> None:
    ids = [f"w{i:02}" for i in range(12)]
    deals = [deal(id, **{**WON, "created_at": "2026-03-01", "close_date": "2026-05-04", "amount": 100}) for id in ids]
    deals.append(deal("w", **{**WON, "created_at": "2026-03-01", "close_date": "2026-03-31", "amount": 100}))
    changes = [
        one for i, id in enumerate(ids) for one in moves(id, ("M50", f"2026-03-01T0{i % 9}:{i:02}"), ("M80", f"2026-05-04T10:00:{i:02}"))
    ]
    changes += moves("w", ("M50", "2026-03-01T12:00"), ("M80", "2026-03-31"))
    velocity = Judged("pipeline", deal=deals, stage_change=changes).one("velocity")
    assert (velocity["dimensions"]["mean_cycle_days"], velocity["excluded"]) == (30, {STAMPED: 12})


def outlying() -> dict[str, list[dict[str, Any]]]:
    won = [deal(f"w{i}", **{**WON, "amount": 100, "close_date": f"2026-0{i}-10", "created_at": "2026-01-01"}) for i in range(2, 7)]
    typo = deal("typo", **{**WON, "amount": 100_000, "close_date": "2026-05-10", "created_at": "2026-01-01"})
    return {"deal": [*won, typo, deal("huge", amount=5000), deal("lost", **{**LOST, "amount": 100, "close_date": "2026-05-20"})]}


def test_an_outlier_is_in_sums_and_in_no_average() -> None:
    found = Judged("pipeline", "winrate", "sources", **outlying())
    assert found.rules == ["D-16", "D-16"]
    velocity = found.one("velocity")
    assert (velocity["dimensions"]["mean_won"], velocity["excluded"]) == (100, {OUTLIER: 1})
    assert found.one("pipeline_value", stage="all")["value"] == 5000
    assert found.one("win_rate", by="value", period="2026-Q2")["numerator"] == 100_300
    assert found.one("source_won_value", source="(unknown)")["value"] == 100_500


def test_an_amount_that_was_checked_is_in_the_average() -> None:
    velocity = Judged("pipeline", accepted=True, **outlying()).one("velocity")
    assert (velocity["dimensions"]["mean_won"], velocity["excluded"]) == (pytest.approx(100_500 / 6), {})
