"""What is printed: plain lines off a terminal, colours on one, never a person's address."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.change import Change, Held, Outcome, Plan
from jobs import show, show_table
from jobs.show_metrics import shown
from jobs.show_pivots import tables
from jobs.show_private import value_of, without_people
from jobs.show_progress import Progress
from jobs.truth import score

NOW = datetime(2026, 6, 30, tzinfo=UTC)


FAMILY = {"pipeline": "pipeline", "open": "pipeline", "weighted": "pipeline", "velocity": "pipeline", "coverage": "pipeline",
          "win": "winrate", "source": "sources"}  # by the first word of a metric's name; others are the funnel's  # fmt: skip


def metric(name: str, dims: dict[str, Any], value: float | None, unit: str = "persons", **more: Any) -> dict[str, Any]:
    row = {
        "family": FAMILY.get(name.partition("_")[0], "funnel"),
        "name": name,
        "dimensions": json.dumps(dims),
        "value": value,
        "unit": unit,
        "n": 100,
        "numerator": None,
        "denominator": None,
    }
    return {**row, "low": None, "high": None, "excluded": "{}", **more}


def finding(rule: str, severity: str = "S2", **more: Any) -> dict[str, Any]:
    row = {"rule": rule, "severity": severity, "title": f"title of {rule}", "field": "amount", "entity_id": "dea_1", "status": "open"}
    row |= {"records": '[["hubspot","deals","7"]]', "values": '{"hubspot": "10", "salesforce": "12"}', "fix": None, "question": "Which?"}
    return {**row, "since": NOW, **more}


def change(n: int, target: str = "contacts", **more: Any) -> Change:
    given = {"before": None, "after": "M50", "why": "stage of per_1", "rule": "", **more}
    return Change(f"c{n}", "hubspot", target, str(n), "tundish_stage", "text", policy="derived", entity_id="per_1", **given)


def plan(*changes: Change, **more: Any) -> Plan:
    return Plan("abc123", NOW, NOW + timedelta(hours=72), NOW, changes, **more)


# -- tables ---------------------------------------------------------------------------------------------------------------
def test_off_a_terminal_a_table_is_aligned_plain_lines() -> None:
    text = show.table_text(["name", "number"], [["a", 1234], ["long name", 5]])
    assert text.splitlines() == ["name       number", "---------  ------", "a          1,234", "long name  5"]


def test_on_a_terminal_a_table_has_colour_and_the_same_words() -> None:
    shown_table = show_table.table(["sev", "rule"], [["S1", "D-02"]])
    text = show_table.text(shown_table, terminal=True)
    assert "\x1b[" in text
    assert "D-02" in text


def test_a_terminal_too_narrow_for_the_words_gets_a_block_of_lines_for_each_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken ids can be neither read nor copied."""
    id_ = "salesforce:Opportunity:006Lm0000000001IAA"
    wide = show_table.table(["id", "record", "old", "", "new", "why"], [[id_, id_, "1", "→", "2", ""], ["b", "c", "", "→", "3", "so"]])
    for columns, whole in ((80, False), (140, True)):
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", show_table.text(wide, terminal=True)).splitlines()]
        assert max(map(len, lines)) <= columns
        assert (next(filter(None, lines)).split()[:2] == ["id", "record"]) is whole
    monkeypatch.setenv("COLUMNS", "80")
    lines = re.sub(r"\x1b\[[0-9;]*m", "", show_table.text(wide, terminal=True)).splitlines()
    assert [line.split() for line in lines] == [
        ["id", id_], ["record", id_], ["old", "1"], ["new", "2"], [], ["id", "b"], ["record", "c"], ["new", "3"], ["why", "so"],
    ]  # fmt: skip


def test_a_vendors_text_cannot_steer_the_terminal_nor_rich() -> None:
    nasty = "[red]x[/red]\x1b[2J\nnext"
    assert "\x1b" not in show.table_text(["a"], [[nasty]])
    assert "[red]x[/red]" in show_table.text(show_table.table(["a"], [[nasty]]), terminal=True)


def test_rows_per_account_and_resource_end_with_their_sum() -> None:
    names = ("account", "resource", "vendor_total", "kept", "appended", "deleted", "rejected", "status", "reason")
    counts = [
        dict(zip(names, ("hubspot", "contacts", 60, 60, 60, 0, 1, "done", ""), strict=True)),
        dict(zip(names, ("salesforce", "Lead", None, 5, 2, 1, 0, "partial", "2 rows missing"), strict=True)),
    ]
    lines = show.records_text(counts).splitlines()
    assert lines[3].split() == ["salesforce", "Lead", "5", "2", "1", "0", "partial", "2", "rows", "missing"]
    assert lines[-1].split() == ["all", "65", "62", "1", "1"]


# -- findings -------------------------------------------------------------------------------------------------------------
def test_findings_show_record_keys_values_and_what_to_do_worst_first() -> None:
    fix = '{"account": "hubspot", "field": "lifecyclestage", "value": "customer"}'
    text = show.findings_text([finding("D-01"), finding("S-02", "S1", fix=fix, question=None, finding_id="f0e1d2c3b4a5")])
    details = text.split("\n\n")[1].splitlines()
    assert details[2].split()[:3] == ["f0e1d2c3", "S1", "S-02"]
    assert "hubspot:deals:7" in details[2]
    assert details[2].endswith("set hubspot lifecyclestage = customer")
    assert "hubspot 10, salesforce 12" in details[3]
    assert details[3].endswith("Which?")


def test_findings_never_show_an_address_or_a_number_to_call() -> None:
    rows = [
        finding(
            "I-01",
            field="email",
            values='{"a": "jane@example.com"}',
            title="same address jane@example.com",
            question="Is +49 30 1234567 hers?",
        ),
        finding("C-02", field="phone", values={"a": "030 1234567"}, fix={"account": "a", "field": "email", "value": "x@y.example"}),
    ]
    text = show.findings_text(rows)
    for private in ("jane", "1234567", "x@y"):
        assert private not in text


@pytest.mark.parametrize("kept", ["2026-06-30", "12500.00", "1000000001", "003Lm0000000001IAA", "2026-06-30 12:00:00", "M50", "24000"])
def test_dates_amounts_and_ids_are_no_telephone_numbers(kept: str) -> None:
    assert without_people(kept) == kept


@pytest.mark.parametrize("number", ["+49 30 1234567", "+14155550123", "(030) 123 45 67", "call +44-20-7946-0958 now"])
def test_telephone_numbers_are_not_shown(number: str) -> None:
    assert "<phone>" in without_people(number)


def test_whether_somebody_opted_out_is_no_personal_value() -> None:
    assert value_of("HasOptedOutOfEmail", "false") == "false"
    assert value_of("email", "anything") == "<not shown>"
    assert value_of("amount", None) == "(empty)"


def test_a_long_list_of_findings_says_how_many_more() -> None:
    assert "2 more; show them with --max 5" in show.findings_text([finding("D-01")] * 5, 3)
    assert show.findings_text([]) == "no findings: the systems agree"


def test_silence_is_called_agreement_only_where_it_is_one() -> None:
    assert show.findings_text([], none=show.no_findings({"person": 3}, 0, None)) == "no findings: the systems agree"
    assert show.no_findings({"person": 3}, 1_099, None) == "none of the 1,099 findings is what was asked for"
    assert show.no_findings({}, 0, None) == "no findings: nothing was pulled yet; pull it: tundish sync"
    assert show.no_findings({}, 0, datetime(2019, 1, 1, tzinfo=UTC)) == "no findings: nothing had been pulled by then"


def test_an_undo_says_what_it_left_as_it_is_and_why() -> None:
    outcomes = [Outcome("c1", "undone"), Outcome("c2", "kept", "someone changed it since; left as it is"), Outcome("c3", "failed", "away")]
    assert show.outcomes_text(outcomes).splitlines()[-2:] == ["failed c3: away", "kept c2: someone changed it since; left as it is"]


def test_the_score_against_the_truth_is_shown_by_rule_with_sums() -> None:
    truth = {
        "planted": [{"rule": "D-01", "records": [["hubspot", "deals", "7"]]}, {"rule": "D-02", "records": [["hubspot", "deals", "8"]]}]
    }
    rows = [finding("D-01"), finding("I-01", records=[["hubspot", "contacts", "1"]])]
    lines = show.truth_text(score(rows, truth), rows).splitlines()
    assert [line.split()[-4:] for line in lines[2:]] == [
        ["1", "1", "0", "0"],
        ["0", "0", "0", "1"],
        ["1", "0", "1", "0"],
        ["2", "1", "1", "1"],
    ]


# -- metrics --------------------------------------------------------------------------------------------------------------
def test_a_share_of_few_shows_its_counts_only() -> None:
    assert shown(metric("win_rate", {}, 0.25, "share", n=4, numerator=1, denominator=4)) == "– (1/4)"
    assert shown(metric("win_rate", {}, 0.25, "share", n=40, numerator=10, denominator=40)) == "25.0 % (10/40)"
    assert shown(metric("win_rate", {}, None, "share", n=0, numerator=0, denominator=0)) == "– (0/0)"


def test_amounts_days_and_the_unknown_are_spelled_out() -> None:
    assert shown(metric("pipeline_value", {}, 1250000.0, "EUR")) == "1,250,000 EUR"
    assert shown(metric("time_to_next", {}, 14.5, "days")) == "14.5 days"
    assert shown(metric("coverage", {}, None, "×")) == "–"


def test_the_funnel_table_puts_metrics_of_one_milestone_on_one_line_in_the_ladders_order() -> None:
    rows = [
        metric("stage_count", {"basis": "current", "stage": "M80"}, 3),
        metric("stage_count", {"basis": "current", "stage": "M20"}, 9),
        metric("reach", {"cohort": "all", "from": "M20", "mode": "implied", "to": "M80"}, 0.25, "share", numerator=25, denominator=100),
        metric("reach", {"cohort": "2026-01", "from": "M20", "mode": "implied", "to": "M80"}, 0.5, "share", numerator=50, denominator=100),
        metric("time_to_next", {"from": "M50", "to": "M80", "quantile": "median"}, 30.0, "days"),
        metric("time_to_next", {"from": "M20", "to": "M80", "quantile": "median"}, 99.0, "days"),
    ]
    [funnel] = tables(rows)
    assert funnel.columns == ("milestone", "now here", "cohort reached", "median days")
    assert funnel.rows == (("M20 Lead", "9", "", ""), ("M80 Won", "3", "25.0 % (25/100)", "30 days"))
    assert [t.columns[0] for t in tables(rows, "funnel")] == ["milestone", "month"]


def test_currencies_stand_in_columns_of_their_own() -> None:
    rows = [metric("pipeline_value", {"stage": "Closing", "currency": c}, v, c) for c, v in (("EUR", 10.0), ("USD", 20.0))]
    rows += [metric("open_deals", {"stage": "Closing"}, 2, "deals")]
    [pipeline] = tables(rows)
    assert pipeline.columns == ("stage", "open deals", "amount, EUR", "amount, USD")
    assert pipeline.rows == (("Closing", "2", "10", "20"),)


def test_every_experiment_has_a_table_of_its_own_with_intervals_beside_the_lifts() -> None:
    def lift(test: str, variant: str, value: float) -> list[dict[str, Any]]:
        dims = {"experiment": test, "variant": variant, "goal": "won"}
        return [
            {**metric("experiment_lift", dims, value, "share", low=value - 0.1, high=value + 0.1), "family": "experiments"},
            {**metric("experiment_p", dims, 0.0002, "p"), "family": "experiments"},
        ]

    found = tables([*lift("Prices", "new", 0.25), *lift("Home", "a", 0.0), *lift("Home", "b", 0.5)])
    assert [t.title for t in found] == ["Prices: effect on each goal", "Home: effect on each goal"]
    assert found[0].columns == ("goal", "lift, new", "p, new")
    assert found[0].rows == (("won", "25.0 % [15.0–35.0 %]", "<0.001"),)
    assert found[1].columns == ("goal", "lift, a", "lift, b", "p, a", "p, b")


def test_a_metric_alone_or_unknown_is_listed_with_its_dimensions_and_interval() -> None:
    rows = [metric("nps_share", {"team": "north"}, 0.5, "share", numerator=50, denominator=100, low=0.404, high=0.596)]
    [listed] = tables(rows)
    assert listed.rows == (("nps share", "north", "50.0 % (50/100)", "40.4–59.6 %", "100"),)


def test_why_a_number_is_missing_and_who_is_left_out_is_said() -> None:
    rows = [
        metric("coverage", {"period": "2026-Q2"}, None, "×", excluded='{"not computable": "the funnel has no target"}'),
        metric("stage_count", {"basis": "current", "stage": "M20"}, 9, excluded='{"no stage": 2}'),
    ]
    notes = [t.note for t in tables(rows)]
    assert notes == ["Not counted: no stage 2.", "coverage: the funnel has no target"]
    assert show.metrics_text([]) == "nothing to measure yet"


# -- plan and outcomes ----------------------------------------------------------------------------------------------------
def test_a_plan_shows_old_new_and_why_for_each_field() -> None:
    text = show.plan_text(
        plan(change(1, rule="S-02", before="lead", after="customer", why="a won deal"), change(2, after=None, before="x"))
    )
    lines = text.splitlines()
    assert lines[2].split("  ")[-1] == "S-02: a won deal"
    assert "lead" in lines[2]
    assert "customer" in lines[2]
    assert "(empty)" in lines[3]
    assert "plan abc123: 2 changes on 2 records, good until 2026-07-03 00:00 UTC" in text
    assert "  hubspot/contacts: 2" in text


def test_a_long_plan_shows_every_target_and_fixes_before_filled_fields() -> None:
    changes = [change(n) for n in range(50)] + [change(60, rule="S-02", before="a"), change(61, "deals")]
    text = show.plan_text(plan(*changes), 3)
    assert "S-02" in text
    assert "hubspot/deals" in text
    assert "49 more changes; show all with --max 52" in text


def test_a_plan_says_what_is_held_back_and_why_it_is_refused() -> None:
    held = (Held("hubspot", "contacts", "1", "email", None, "x", "policy manual: a person decides"),) * 2
    text = show.plan_text(plan(held=held, refusals=("hubspot/contacts: too many",)))
    assert "plan abc123: nothing to change" in text
    assert "held back 2: hubspot/contacts: policy manual: a person decides" in text
    refused = show.plan_text(plan(change(1), refusals=("hubspot/contacts: too many",)))
    assert refused.endswith("refused: hubspot/contacts: too many")


def test_outcomes_are_counted_and_refused_ones_named() -> None:
    text = show.outcomes_text([Outcome("c1", "applied"), Outcome("c2", "applied"), Outcome("c3", "rejected", "INVALID: jane@example.com")])
    assert text.splitlines()[2].split() == ["applied", "2", "written", "and", "read", "back,", "or", "an", "event", "taken"]
    assert "rejected c3: INVALID: <e-mail>" in text
    assert show.outcomes_text([]) == "nothing to do"


# -- progress -------------------------------------------------------------------------------------------------------------
def test_progress_off_a_terminal_is_a_line_every_few_seconds_with_the_sum() -> None:
    stream, seconds = io.StringIO(), iter([0.0, 1.0, 6.0, 7.0, 12.0])
    with Progress("sync", stream=stream, monotonic=lambda: next(seconds)) as progress:
        for _ in range(4):
            progress.step("hubspot", "contacts", 100, 1000)
    assert stream.getvalue().splitlines() == [
        "sync: hubspot contacts 200 of 1,000 rows, 6 s",
        "sync: hubspot contacts 400 of 1,000 rows, 12 s",
    ]


def test_quiet_progress_says_nothing_and_a_terminal_gets_bars() -> None:
    stream = io.StringIO()
    with Progress("sync", stream=stream, quiet=True, terminal=True) as progress:
        progress.step("hubspot", "contacts", 1)
    assert stream.getvalue() == ""
    with Progress("sync", stream=stream, terminal=True) as progress:
        progress.step("hubspot", "contacts", 5, 10)
        progress.step("hubspot", "contacts", 7, None)
    assert progress._rows == {("hubspot", "contacts"): 12}


def test_a_narrow_terminal_keeps_ids_and_addresses_whole_and_breaks_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "66")
    rows = [["ines.vesper@lumen-loom.example", "call or write to them before the week is over", "2026-11-26"]]
    shown = show_table.rich_text(show_table.table(["owner", "to do", "due"], rows, title="A title that is longer", note="A note " * 6))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert "ines.vesper@lumen-loom.example" in plain
    assert "2026-11-26" in plain
    assert all(len(line) <= 66 for line in plain.splitlines())


def test_where_even_words_have_no_room_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    words = [f"{letter}" * 30 for letter in "abc"]
    plain = re.sub(r"\x1b\[[0-9;]*m", "", show_table.rich_text(show_table.table(["x", "y", "z"], [words])))
    assert [plain.count(letter) for letter in "abc"] == [30, 30, 30]
