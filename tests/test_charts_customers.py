"""The charts of customers, campaigns, leads and agreement, and the tables of next steps: what they draw and say of literal numbers."""

from __future__ import annotations

from typing import Any

from report_rows import AGREEMENT, DATA, metric, share

from jobs.report import render
from jobs.report.charts import agreement, campaigns, leads, retention
from jobs.report.charts.chart import FULL, HALF, PHONE, Chart
from jobs.report.charts.palette import COLOURS
from jobs.report.content import sections, selected
from jobs.show_pivots import tables

ALL = selected(DATA, "all")


def made(draw: Any, data: Any = ALL) -> Chart:
    chart = draw(data)
    assert chart is not None
    return chart


def marks(chart: Chart, width: int = HALF) -> list[dict[str, Any]]:
    spec = chart.spec(width)
    return [row for layer in (spec, *spec["layer"]) for row in layer.get("data", {}).get("values", ())]


# -- retention --------------------------------------------------------------------------------------------------------------
def test_cohorts_of_customers_are_hatched_where_not_all_were_watched_so_long_and_small_ones_show_counts() -> None:
    chart = made(retention.cohorts)
    assert {row[0]: row[1:] for row in chart.table.rows} == {
        "2026-01": ("20", "95 %", "80 %", "70 %"), "2026-04": ("12", "92 %", "4/5*", ""), "2026-05": ("4", "3/4", "", ""),
    }  # fmt: skip
    cells = {row["said"]: row for row in marks(chart) if "said" in row}
    young = cells["2026-04, after 3 months: 4 of 5"]
    hatches = [row for row in marks(chart) if "x2" in row and "said" not in row]
    assert {round(row["y"]) for row in hatches} <= set(range(int(young["y"]) - 1, int(young["y2"]) + 2))
    assert young["colour"] == COLOURS["heat0"].light
    assert cells["2026-01, after 1 months: 19 of 20"]["colour"] == COLOURS["heat6"].light


def test_what_is_left_by_age_is_told_at_the_last_age_that_enough_were_watched_to() -> None:
    rows = [*DATA["metrics"], share("retention", "retention", {"cohort": "all", "month": 12, "mode": "classic"}, 2, 3)]
    chart = made(retention.by_age, selected({**DATA, "metrics": rows}, "all"))
    assert "After 6 months 70 % were still customers, 14 of 20 watched so long" in chart.reading
    assert "84 % was kept (GRR), 114 % with what they bought more (NRR)" in chart.reading
    points = {row["said"]: row for row in marks(chart) if "said" in row}
    assert points["customers, after 12 months: 67 %"]["x"] == 12
    assert {row["series"] for row in points.values()} == {"customers", "GRR", "NRR"}
    assert max(row["y"] for row in points.values()) > 1  # growth stands above what they began with
    assert chart.table.rows[-1] == ("12", "67 %", "", "", "3")


def test_a_years_retained_value_goes_from_the_oldest_end_to_now() -> None:
    chart = made(retention.by_year)
    assert [row[0] for row in chart.table.rows] == ["2025-Q4", "2026-Q1", "now"]
    assert "Of 120 k EUR that 12 customers paid a year before now, 90 % was kept (GRR), and 110 %" in chart.reading


def test_one_end_of_a_year_is_no_line() -> None:
    rows = [row for row in DATA["metrics"] if row["name"] != "revenue_retention_year" or '"now"' in row["dimensions"]]
    assert retention.by_year(selected({**DATA, "metrics": rows}, "all")) is None


# -- campaigns --------------------------------------------------------------------------------------------------------------
def test_campaigns_show_what_was_spent_beside_what_is_credited_the_dearest_first() -> None:
    chart = made(campaigns.pipeline)
    assert chart.table.columns[1:] == (
        "spent, EUR", "leads", "cost per lead", "opportunities", "cost per opportunity", "pipeline", "won", "won ÷ spent"
    )  # fmt: skip
    assert {row[0]: row[1:] for row in chart.table.rows} == {
        "spring": ("900", "30", "30", "3", "300", "5,000", "2,700", "3.0 ×"), "autumn": ("800", "", "", "", "", "", "", ""),
        "fair": ("700", "30", "23.3", "3", "233.3", "", "350", "0.5 ×"), "letter": ("", "30", "", "3", "", "1,000", "600", ""),
    }  # fmt: skip
    assert [row[0] for row in chart.table.rows] == ["spring", "autumn", "fair", "letter"]
    assert "2.4 k EUR was spent on 3 campaigns. 3.05 k of won value is credited to them: 1.3 × what they cost." in chart.reading
    assert "An opportunity cost least by fair: 233 EUR" in chart.reading
    drawn = [(row["campaign"], row["part"]) for row in marks(chart, FULL)]
    assert ("letter", "spent") not in drawn  # what is nothing has no bar
    assert ("fair", "won") in drawn


def test_without_a_known_cost_there_is_no_chart_of_campaigns() -> None:
    rows = [row for row in DATA["metrics"] if row["name"] != "campaign_cost"]
    assert campaigns.pipeline(selected({**DATA, "metrics": rows}, "all")) is None


# -- leads and next steps ---------------------------------------------------------------------------------------------------
def test_bands_say_how_many_are_expected_and_points_that_they_are_no_chances() -> None:
    chart = made(leads.bands)
    assert "43 leads are scored; 4 of them stand in band A, the best. About 6 of them are expected" in chart.reading
    rows = [row for row in DATA["metrics"] if row["name"] != "score_expected"]
    points = made(leads.bands, selected({**DATA, "metrics": rows}, "all"))
    assert "Points, not chances" in points.reading
    assert points.table.rows[0] == ("A", "4", "")


def test_overdue_steps_are_a_part_of_their_bar() -> None:
    chart = made(leads.steps)
    assert "8 leads and deals have a next step; for 2 of them (orange) its day is over" in chart.reading
    orange = [row for row in marks(chart) if row.get("colour") == COLOURS["orange"].light]
    assert [(row["label"], row["size"]) for row in orange] == [("call or write", 2)]


def test_each_owner_has_a_list_and_all_stand_side_by_side() -> None:
    found = {t.title: t for t in tables(selected(DATA, "next")["metrics"], "next")}
    assert found["Next steps by owner"].rows == (
        ("o@x.example", "2", "1", "2026-06-01", "7,500"), ("p@x.example", "1", "0", "", "5,000"),
    )  # fmt: skip
    assert found["Next steps of o@x.example"].rows[0] == (
        "re-date or close", "dea_1", "past its close date", "2026-06-01, overdue", "5,000"
    )  # fmt: skip
    assert "Next steps of p@x.example" in found


def test_the_best_leads_are_a_list_of_their_own_with_their_chance_and_why() -> None:
    found = {t.title: t for t in tables(selected(DATA, "score")["metrics"], "score")}
    assert found["Leads that come first"].rows == (("per_1", "A", "97", "61 %", "three visits"),)
    assert "Single numbers" not in found


def test_a_list_that_may_be_longer_says_so() -> None:
    dims = {"owner": "o@x.example", "entity": "dea_1", "state": "open", "why": "w", "action": "a", "due": ""}
    long = [metric("next", "follow_up", {**dims, "place": i}, None, "EUR") for i in range(20)]
    long.append(metric("next", "follow_up", {**dims, "owner": "p@x.example", "place": 1}, None, "EUR"))
    owners = tables([*long, metric("next", "follow_ups", {"step": "respond", "state": "", "why": "", "action": ""}, 1)], "next")[1]
    assert [row[1] for row in owners.rows] == ["20 or more", "1"]


def test_what_is_read_first_stands_before_the_other_tables() -> None:
    found = {s.key: s for s in sections(ALL, "all")}
    assert [t.title for t in found["next"].first] == ["Next steps by owner"]
    assert [t.title for t in found["score"].first] == ["Leads by owner and band", "Leads that come first"]
    assert found["score"].first[0].rows == (("o@x.example", "3", "20"), ("p@x.example", "1", ""))
    assert "Next steps by owner" not in [t.title for t in found["next"].tables]


def test_the_stage_map_says_first_what_is_in_no_mapping() -> None:
    found = next(s for s in sections(ALL, "all") if s.key == "stages")
    assert found.text == "1 of 2 stages in no mapping (hubspot / Partners / Referred); 3 records stand there."
    assert [row[-2:] for row in found.tables[0].rows] == [("UNMAPPED", "3"), ("M80 Won", "9")]
    assert '<span class="sev UNMAPPED">UNMAPPED</span>' in render(DATA, "html", "quality")


# -- agreement --------------------------------------------------------------------------------------------------------------
def test_systems_that_differ_stand_out_and_all_but_one_is_not_all() -> None:
    chart = made(agreement.matrix)
    cells = {row["said"].partition(":")[0]: row for row in marks(chart) if "said" in row}
    assert cells["deal stage, hubspot and salesforce"]["text"] == "99.8 %"
    assert cells["deal owner, hubspot and salesforce"]["colour"] == COLOURS["heat6"].light
    assert cells["person owner, hubspot and mailchimp"]["colour"] == COLOURS["heat0"].light
    assert "They differ most on deal amount: hubspot and salesforce agree in 95 % of 200" in chart.reading  # four pairs say little
    assert chart.table.rows[1][-3:] == ("200", "10", "95.0 %")


def test_a_telephone_has_only_the_pairs_with_most_to_compare() -> None:
    many = [{**AGREEMENT[0], "right": f"s{i}", "both": 10 + i, "equal": 10} for i in range(9)]
    chart = made(agreement.matrix, {"agreement": many})
    assert [len({row["said"] for row in marks(chart, width) if "said" in row}) for width in (PHONE, FULL)] == [4, 8]
