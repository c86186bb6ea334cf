"""Every chart: what it draws and says of a small company's numbers, that it draws nothing of nothing, and that Vega-Lite takes it."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
from report_rows import DATA, EMPTY, metric, share

from jobs.report.charts import (
    attribution,
    cohorts,
    durations,
    experiments,
    findings,
    flow,
    forecast,
    funnel,
    losses,
    movement,
    pipeline,
    waterfall,
)
from jobs.report.charts.chart import FULL, HALF, PHONE, Chart
from jobs.report.charts.draw import drawing
from jobs.report.charts.palette import COLOURS, HEAT_STEPS, SERIES, contrast, heat, themed
from jobs.report.charts.rows import compact
from jobs.report.content import selected
from jobs.report.picture import to_png
from jobs.report.sparkline import blocks, points
from jobs.report.views import VIEWS, View, shown

ALL = selected(DATA, "all")


def made(draw: Any, data: Any = ALL) -> Chart:
    chart = draw(data)
    assert chart is not None
    return chart


def marks(chart: Chart, width: int = HALF) -> list[dict[str, Any]]:
    """The values of all layers."""
    spec = chart.spec(width)
    return [row for layer in (spec, *spec["layer"]) for row in layer.get("data", {}).get("values", ())]


# -- all of them ----------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def schema() -> Any:
    """Vega-Lite's own rules for a specification."""
    import jsonschema
    from altair.vegalite.v6.schema.core import load_schema

    return jsonschema.Draft7Validator({**load_schema(), "$ref": "#/definitions/TopLevelLayerSpec"})


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.draw.__name__)
def test_a_chart_is_a_specification_vega_lite_takes_with_marks_words_and_a_table(view: View, schema: Any) -> None:
    chart = made(view.draw)
    assert chart.title
    assert chart.reading.endswith(".")
    assert chart.table.rows
    for width in (PHONE, FULL if chart.wide else HALF):
        spec = chart.spec(width)
        assert [error.message for error in schema.iter_errors(spec)] == []
        assert all(layer["data"]["values"] for layer in spec["layer"] if "data" in layer)
    assert any("said" in row for row in marks(chart))


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.draw.__name__)
def test_of_nothing_no_chart_is_drawn(view: View) -> None:
    assert view.draw(selected(EMPTY, "all")) is None
    assert view.needs


def test_views_that_cannot_be_drawn_are_named_with_what_the_metrics_say() -> None:
    why = metric("backtest", "backtest_coverage", {"kind": "days"}, None, "share", excluded={"not computable": "no past window"})
    part = shown(selected({**EMPTY, "metrics": [why]}, "all"), ["backtest"])["backtest"]
    assert part.charts == ()
    assert {view.section for view in part.missing} == {"backtest"}
    assert part.why == "no past window"


def test_a_drawing_is_as_wide_as_asked_speaks_by_titles_and_has_the_pages_colours() -> None:
    drawn = drawing(made(funnel.reach).spec(PHONE))
    assert (drawn.width, "aria-" in drawn.inner, "role=" in drawn.inner) == (PHONE, False, False)
    assert "<title>M80 Won: 12 · 10 % · 30 % of the step before</title>" in drawn.inner
    assert f'fill="{COLOURS["blue"].light}"' in drawn.inner
    assert not re.search(r'"#[0-9a-f]{6}"', themed(drawn.inner))


def test_texts_of_vendors_are_escaped_in_a_drawing() -> None:
    drawn = drawing(made(flow.source_to_outcome).spec(FULL)).inner
    assert "&lt;b&gt;ads&lt;/b&gt;" in drawn
    assert "<b>" not in drawn


# -- one by one -----------------------------------------------------------------------------------------------------------
def test_the_funnel_names_its_narrowest_step() -> None:
    chart = made(funnel.reach)
    assert "Of 120 that became Lead, 12 (10 %) reached M80 Won" in chart.reading
    assert "narrowest step is into M80 Won: 30 %" in chart.reading
    assert [row["size"] for row in marks(chart)] == [120, 80, 60, 40, 12]
    assert chart.table.rows[2] == ("M40 SQL", "60", "50 %", "75 %")


def test_young_cohorts_are_hatched_and_small_ones_have_no_colour() -> None:
    rows = [*DATA["metrics"], share("funnel", "reach", {"cohort": "2026-02", "from": "M20", "mode": "implied", "to": "M20"}, 3, 3)]
    rows.append(share("funnel", "reach", {"cohort": "2026-02", "from": "M20", "mode": "implied", "to": "M80"}, 2, 3))
    chart = made(cohorts.cohorts, selected({**DATA, "metrics": rows}, "all"))
    assert {row[0]: row[-1] for row in chart.table.rows} == {"2026-01": "", "2026-02": "", "2026-05": "yes"}
    cells = {row["said"]: row for row in marks(chart) if "said" in row}
    assert (cells["2026-01, M30 MQL: 45 of 60"]["text"], cells["2026-02, M80 Won: 2 of 3"]["text"]) == ("75 %", "2/3")
    assert cells["2026-02, M80 Won: 2 of 3"]["colour"] == COLOURS["heat0"].light
    hatches = [row for row in marks(chart) if "x2" in row and "said" not in row]
    young = cells["2026-05, M80 Won: 0 of 60"]
    assert {round(row["y"]) for row in hatches} <= set(range(int(young["y"]) - 1, int(young["y2"]) + 2))


def test_a_sankeys_ribbons_fill_both_sides_in_proportion_and_do_not_overlap() -> None:
    flows = {("web", "won"): 6.0, ("web", "lost deal"): 2.0, ("fair", "won"): 2.0, ("fair", "open deal"): 0.0}
    laid = flow.layout(flows, ["web", "fair"], ["won", "open deal", "lost deal"], height=110)
    assert [(n.name, n.n) for n in laid.sources] == [("web", 8), ("fair", 2)]
    assert [n.name for n in laid.outcomes] == ["won", "lost deal"]  # nobody is there: no node
    assert {(r.source, r.outcome): round(r.left[1] - r.left[0], 6) for r in laid.ribbons} == {
        ("web", "won"): 60, ("web", "lost deal"): 20, ("fair", "won"): 20,
    }  # fmt: skip
    for side in ("left", "right"):
        ends = sorted(getattr(r, side) for r in laid.ribbons)
        assert all(a[1] <= b[0] + 1e-9 for a, b in pairwise(ends))
    assert max(n.bottom for n in laid.sources) == pytest.approx(110)


def test_small_sources_flow_together() -> None:
    rows = [metric("sources", "source_outcome", {"source": f"s{i:02}", "outcome": "won"}, 20 - i) for i in range(flow.SOURCES + 3)]
    chart = made(flow.source_to_outcome, selected({**DATA, "metrics": rows}, "all"))
    assert chart.table.rows[-1] == (flow.OTHER, str(sum(20 - i for i in range(flow.SOURCES, flow.SOURCES + 3))))
    assert len(chart.table.rows) == flow.SOURCES + 1


def test_a_waterfall_stands_each_step_on_the_one_before_and_ends_where_the_metrics_end() -> None:
    bars = {row["bucket"]: row for row in marks(made(waterfall.waterfall), FULL) if "level" in row}
    assert [(b["low"], b["high"]) for b in bars.values()] == [
        (0, 100_000), (100_000, 140_000), (140_000, 145_000), (145_000, 145_000), (125_000, 145_000), (110_000, 125_000),
        (110_000, 110_000), (80_000, 110_000), (0, 80_000),
    ]  # fmt: skip
    assert [b["text"] for b in bars.values()] == ["100 k", "+40 k", "+5 k", "0", "−20 k", "−15 k", "0", "−30 k", "80 k"]


def test_past_periods_stand_beside_the_band_of_their_first_instant_and_the_running_one_beside_its_own() -> None:
    chart = made(forecast.history)
    rows = {row[0]: row[1:] for row in chart.table.rows}
    assert rows["2026-Q1"] == ("108,000", "98,000", "123,000", "158,000")  # won before the instant is added to what was said of the rest
    assert rows["2026-Q2"] == ("50,000", "60,000", "80,000", "120,000")
    assert "Of 3 past periods with a band, 2 ended within it" in chart.reading
    assert len({row["period"] for row in marks(chart, PHONE)}) <= 6


def test_the_fan_begins_at_nothing_now_and_opens_to_the_horizons_in_their_order() -> None:
    days = {row["day"]: row["P90"] for row in marks(made(forecast.fan)) if "P90" in row}
    assert days == {"2026-06-30": 0, "2026-07-10": 70_000, "2026-09-28": 210_000}


def test_yardsticks_hold_what_is_won_so_far() -> None:
    assert dict(made(forecast.yardsticks).table.rows)["CRM's probabilities"] == "80,000"


def test_attribution_shows_how_far_models_are_apart_and_shares_that_add_up() -> None:
    assert "from 10 k to 30 k EUR" in made(attribution.comparison).reading
    columns = list(zip(*(row[1:] for row in made(attribution.split).table.rows), strict=True))
    assert {round(sum(float(cell.split(" ")[0]) for cell in column)) for column in columns} <= {99, 100, 101}


def test_a_lift_beyond_the_edge_is_cut_and_one_without_an_interval_is_left_out() -> None:
    rows = [row for row in marks(made(experiments.forest), FULL) if "cut" in row]
    assert {(row["line"].split("|")[1], row["low"], row["high"]) for row in rows} == {("Lead", 0.05, 0.55), ("Opportunity", -2, 2)}
    assert {tuple(row["cut"]) for row in rows} == {(), (-2, 2)}


def test_experiments_at_a_glance_say_what_can_be_said() -> None:
    glance = experiments.at_a_glance(ALL)
    assert glance is not None
    assert [(row[0], row[1], row[3], row[-1]) for row in glance.rows] == [
        ("Short form", "control", "as planned", "baseline"),
        ("Short form", "new", "as planned", "better than the baseline"),
        ("Blue button", "control", "uneven, p 0.0001", "baseline"),
        ("Blue button", "new", "uneven, p 0.0001", "do not trust: the split of visitors is no accident"),
    ]


def test_findings_by_day_stack_to_their_sum_and_by_rule_begin_with_the_most() -> None:
    tops: dict[str, float] = {}
    for row in marks(made(findings.trend)):
        if "severity" in row:
            tops[row["day"]] = max(tops.get(row["day"], 0), row["high"])
    assert list(tops.values()) == [19, 18, 16]
    assert [row[0] for row in made(findings.by_rule).table.rows] == ["D-01", "C-01"]


def test_pipeline_by_stage_adds_up_in_one_currency() -> None:
    chart = made(pipeline.by_stage)
    assert "15 open deals worth 155 k EUR; 58 % of it is in Proposing" in chart.reading
    assert [row["label"] for row in marks(chart)] == ["Prospecting", "Proposing", "Closing"]


def test_the_slowest_step_is_named_and_what_is_not_reached_has_no_mark() -> None:
    chart = made(durations.steps)
    assert "The slowest: MQL → SQL, 12 days until half have taken it." in chart.reading  # all of the way is no step
    assert chart.table.rows[1] == ("MQL → SQL", "12", "not reached", "not reached")
    assert [(row["step"], row["days"]) for row in marks(chart) if "what" in row] == [
        ("Lead → MQL", 4), ("Lead → MQL", 9), ("Lead → MQL", 21), ("MQL → SQL", 12), ("Lead → SQL", 19),
    ]  # fmt: skip


def test_open_deals_by_how_often_they_were_put_off_add_up_to_all() -> None:
    chart = made(movement.pushes)
    assert "Of 15 open deals 6 were moved to a later period at least once, by 240 days in all" in chart.reading
    assert chart.table.rows == (("never", "9", "60 %"), ("once", "4", "27 %"), ("twice or more", "2", "13 %"))


def test_coverage_stands_beside_what_past_periods_needed() -> None:
    chart = made(pipeline.coverage)
    assert chart.table.rows == (("due in it", "3.1 ×"), ("was needed before", "2.5 ×"))
    assert "155 k EUR is due in 2026-Q2, 3.1 × of the 50 k EUR still to be won for the target." in chart.reading
    assert "needed 2.5 × at this time: it is enough." in chart.reading


def test_owners_are_told_apart_only_where_their_intervals_do_not_meet() -> None:
    chart = made(losses.by_owner)
    assert [row[:3] for row in chart.table.rows] == [("o@x.example", "18", "20"), ("q@x.example", "1", "2"), ("p@x.example", "8", "20")]
    assert "o@x.example wins 90 % of 20; some intervals do not meet, which is hardly chance" in chart.reading
    points = {row["part"]: row["fill"] for row in marks(chart)}
    assert points == {"o (20)": COLOURS["blue"].light, "p (20)": COLOURS["blue"].light, "q (2)": COLOURS["card"].light}
    assert "as all intervals meet" in made(losses.by_segment).reading


def test_reasons_of_losses_add_up_to_all_of_them() -> None:
    chart = made(losses.reasons)
    assert chart.table.rows == (("price", "9", "45 %", "45 %"), ("(unknown)", "6", "30 %", "75 %"), ("timing", "5", "25 %", "100 %"))
    assert "Of 20 deals lost in the last year: 2 reasons stand for 75 %. Of 30 % nobody said why." in chart.reading


# -- colours, sparklines, pictures ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_marks_and_texts_stand_out_in_both_schemes(scheme: str) -> None:
    value = {name: getattr(colour, scheme) for name, colour in COLOURS.items()}
    assert {name for name in (*SERIES, "s1", "s2", "s3", "s4", "good") if contrast(value[name], value["card"]) < 3} == set()
    assert {name for name in ("ink", "soft", "s1", "s2", "good", "blue") if contrast(value[name], value["card"]) < 4.5} == set()
    steps = [f"heat{i}" for i in range(HEAT_STEPS)]
    assert {name for name in steps if contrast(value[name], value[f"{name}_ink"]) < 4.5} == set()
    assert len({c.light for c in COLOURS.values()}) == len(COLOURS)  # they are found by their value


def test_a_heat_step_is_never_beyond_the_darkest() -> None:
    assert [heat(share) for share in (-1, 0, 0.5, 1, 7)] == ["heat0", "heat0", "heat3", "heat6", "heat6"]


def test_sparklines_rise_with_their_numbers_and_leave_gaps() -> None:
    assert blocks([0, 5, None, 10]) == "▁▅·█"
    assert (blocks([]), blocks([3]), points([3])) == ("", "", "")
    assert points([0, 10], 100, 24) == "0.0,22.0 100.0,2.0"


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (950, "950"), (999.4, "999"), (1820000, "1.82 M"), (392_390, "392 k"), (999_600, "1 M")]
)
def test_compact_numbers(value: float, text: str) -> None:
    assert compact(value) == text


def test_a_picture_of_a_report_is_a_png_with_all_its_charts() -> None:
    drawn = to_png(selected(DATA, "waterfall"), "waterfall")
    assert drawn.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(drawn[16:20]) == 2 * (FULL + 48)
