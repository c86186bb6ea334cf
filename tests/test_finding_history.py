"""Findings through time: as of a day, first seen, resolved, how old, over their limit, and the trend of all that."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sandbox_hub import NOW as START
from sandbox_hub import Standing, standing, tundish
from test_hostile_text import EVIL, STEERING
from test_lake import NOW, Shelf

from core.finding_history import aged, by_severity, resolved, trend
from core.funnel import SlaDays, load_funnel
from core.reconcile import FINDINGS
from core.retention import retain
from jobs import show_ageing
from jobs.report import render

DAY = timedelta(days=1)
LIMITS = SlaDays()
WATCHED = ["D-01", "D-05", "D-06", "D-02", "D-04", "S-06", "C-02"]  # some of each severity that has a limit


def finding(id_: str, rule: str = "D-01", severity: str = "S2", first: datetime = NOW, status: str = "open", **more: Any) -> dict[str, Any]:
    row = dict.fromkeys(FINDINGS.names) | {"finding_id": id_, "rule": rule, "severity": severity, "title": rule, "entity_id": f"dea_{id_}"}
    return row | {"first_seen": first, "last_seen": first, "status": status, "records": '[["hubspot","deals","7"]]', **more}


def store(shelf: Shelf, run: str, at: datetime, rows: Sequence[dict[str, Any]]) -> None:
    shelf.lake.append_derived("finding", [pa.Table.from_pylist(list(rows), schema=FINDINGS)], run, at)


def three_days(shelf: Shelf) -> None:
    seen = finding("a", last_seen=NOW + DAY)
    for run in ("r0", "r1"):  # at one instant
        store(shelf, run, NOW, [finding("a"), finding("b", "S-02", "S1")])
    store(shelf, "r2", NOW + DAY, [seen, finding("c", first=NOW + DAY), finding("b", "S-02", "S1", status="fixed")])
    store(shelf, "r3", NOW + DAY + timedelta(hours=1), [seen, finding("m", status="muted_until:2030-01-01", first=NOW + DAY)])
    store(shelf, "r4", NOW + 2 * DAY, [])


# -- from literals ------------------------------------------------------------------------------------------------------------
def test_the_trend_has_a_day_for_each_on_which_the_systems_were_reconciled(shelf: Shelf) -> None:
    assert trend(shelf.lake, shelf.ledger) == []
    three_days(shelf)
    days = trend(shelf.lake, shelf.ledger)
    assert [(d.open, d.severities, d.new, d.fixed) for d in days] == [
        ({"D-01": 1, "S-02": 1}, {"S1": 1, "S2": 1}, 2, 0),
        ({"D-01": 1}, {"S2": 1}, 1, 1),
        ({}, {}, 0, 0),
    ]
    assert [(d.total, d.new) for d in trend(shelf.lake, shelf.ledger, NOW + DAY)] == [(2, 2), (2, 1)]


def test_what_is_past_its_retention_is_no_day_without_findings(shelf: Shelf) -> None:
    three_days(shelf)
    days = type("Days", (), {"findings": 1} | dict.fromkeys(("versions", "touches", "tallies", "runs", "plans")))()
    retain(shelf.lake, shelf.ledger, days, NOW + 2 * DAY + timedelta(minutes=1))
    assert [d.total for d in trend(shelf.lake, shelf.ledger)] == [1, 0]


def test_what_is_gone_says_since_when_and_for_how_long_it_stood(shelf: Shelf) -> None:
    three_days(shelf)
    [row] = resolved(shelf.lake, shelf.ledger, NOW)
    assert (row["finding_id"], row["first_seen"], row["resolved_at"], row["days"]) == ("b", NOW, NOW + DAY, 1.0)
    assert resolved(shelf.lake, shelf.ledger, NOW + DAY) == []
    assert resolved(shelf.lake, shelf.ledger, NOW, as_of=NOW) == []


def test_a_finding_is_over_its_severity_s_limit_of_days_since_it_was_first_seen() -> None:
    first = [("a", "S2", 7.0), ("b", "S2", 8.5), ("c", "S4", 900.0), ("d", "S1", 2.0)]
    rows = aged([finding(id_, severity=severity, first=NOW - days * DAY) for id_, severity, days in first], LIMITS, NOW)
    assert [(r["finding_id"], r["age_days"], r["over_days"]) for r in rows] == [
        ("b", 8.5, 1.5), ("d", 2.0, 1.0), ("a", 7.0, None), ("c", 900.0, None),
    ]  # fmt: skip
    s1, s2, s3, s4 = by_severity(rows, LIMITS)
    assert (s1["over"], s2["over"], s2["open"], s2["median_days"], s2["oldest_days"]) == (1, 1, 2, 7.8, 8.5)
    assert s2["ages"] == {"7": 1, "30": 1, "90": 0, "older": 0}
    assert (s3["open"], s3["oldest_days"], s4["limit_days"], s4["ages"]["older"]) == (0, None, None, 1)


def test_limits_are_checked_where_they_are_written(tmp_path: Path) -> None:
    from core.errors import UserError

    shipped = (Path(__file__).parent.parent / "mappings/funnel.yaml").read_text()
    assert load_funnel(Path(__file__).parent.parent / "mappings/funnel.yaml").sla_days == LIMITS
    wrong = tmp_path / "funnel.yaml"
    wrong.write_text(shipped.replace("sla_days: {S1: 1, S2: 7, S3: 30, S4: null}", "sla_days: {S1: 0, S5: 1}"))
    with pytest.raises(UserError) as told:
        load_funnel(wrong)
    assert str(told.value).count("funnel.yaml:") == 2


def test_a_long_trend_is_shown_by_days_evenly_spread_and_loses_nothing_new() -> None:
    days = [{"day": f"{NOW + i * DAY:%Y-%m-%d}", "open": {"D-01": i}, "new": 1, "fixed": 0} for i in range(100)]
    shown = show_ageing.sampled(days, 8)
    assert (len(shown), shown[0], shown[-1]) == (8, days[0], days[-1])
    table = show_ageing.trend_table(days)
    assert table is not None
    assert sum(int(n) for n in table.rows[-2][1:-1]) == 100
    assert show_ageing.trend_table([]) is None


@pytest.mark.parametrize("format_", ["json", "md", "csv", "html"])
def test_hostile_texts_steer_no_report_of_it(format_: str) -> None:
    row = finding("x", title=EVIL, entity_id=EVIL, records=[[EVIL, EVIL, EVIL]])
    row |= {"age_days": 9.0, "due": NOW, "over_days": 2.0, "resolved_at": NOW, "days": 3.0}
    ageing = {"severities": by_severity([row], LIMITS), "over": [row]}
    data = {"as_of": "x", "organisation": "x", "findings": [], "resolved": [row], "trend": [], "ageing": ageing}
    shown = render(data, format_, "findings")
    assert "HYPERLINK" in shown
    assert format_ == "json" or not STEERING.search(shown)
    assert format_ != "html" or "<script>alert" not in shown
    assert format_ != "csv" or not any(cell.startswith("=") for cells in csv.reader(io.StringIO(shown)) for cell in cells)


# -- the commands -------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def two_looks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Standing, set[str], Any]]:
    """A world looked at twice, ten days apart, with amounts of deals set right in between: (sandbox, these deals, the second report)."""
    with standing(tmp_path_factory.mktemp("looks"), size=8, vendors=["hubspot", "salesforce"], rules=WATCHED) as sandbox:

        def say(*words: str) -> Any:
            said = tundish("--config", sandbox.config, *words, "--json")
            assert said.code == 0, said.err
            return said.json

        say("sync")
        plan = say("plan", "--rule", "D-01")
        assert {c["rule"] for c in plan["changes"]} == {"D-01"}
        say("apply", plan["plan_id"], "--yes")
        sandbox.clock.advance(10 * 86400)
        say("sync")
        yield sandbox, {c["entity_id"] for c in plan["changes"]}, say("report", "findings")


def test_as_of_a_day_shows_what_was_found_then_and_stores_nothing(two_looks: tuple[Standing, set[str], Any]) -> None:
    sandbox, fixed, second = two_looks
    before = sandbox.hub.ledger.latest_derived("finding")
    words = ("--as-of", f"{START + 9 * DAY:%Y-%m-%d}", "--over", "--account", "salesforce", "--json")
    then = tundish("--config", sandbox.config, "reconcile", *words).json["findings"]
    assert fixed <= {f["entity_id"] for f in then if f["rule"] == "D-01"}
    assert not fixed & {f["entity_id"] for f in second["findings"] if f["rule"] == "D-01"}
    assert {f["first_seen"][:10] for f in then} == {f"{START:%Y-%m-%d}"}
    assert {f["severity"] for f in then} == {"S1", "S2"}  # the others' limits are longer than nine days
    assert all("salesforce" in {key[0] for key in f["records"]} for f in then)
    assert sandbox.hub.ledger.latest_derived("finding") == before


def test_the_report_of_findings_has_ages_limits_trend_and_what_was_resolved(two_looks: tuple[Standing, set[str], Any]) -> None:
    _, fixed, told = two_looks
    assert fixed <= {r["entity_id"] for r in told["resolved"]}
    assert {r["days"] for r in told["resolved"] if r["entity_id"] in fixed} == {10.0}
    first, second = told["trend"]
    assert first["open"]["D-01"] - second["open"].get("D-01", 0) == len(fixed)
    assert (first["fixed"], second["fixed"] >= len(fixed)) == (0, True)
    old = {f["finding_id"] for f in told["findings"] if f["severity"] in ("S1", "S2") and f["first_seen"] < f"{START + DAY}"}
    assert {r["finding_id"] for r in told["ageing"]["over"]} == old != set()
    page = render(told, "html", "findings")
    assert [
        words
        for words in ("Ages and limits", "Findings through time", "findings over their limit", "Open findings by day", "<title>")
        if words not in page
    ] == []
    text = "".join(show_ageing.texts(told, 20))
    assert [words for words in ("Open findings by age", "Over their limit", "day by day", "Resolved lately") if words not in text] == []
