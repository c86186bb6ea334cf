"""Reports as files and what stands beside numbers: the workbook, formats by a file's name, marks, footnotes, and the eight numbers."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import python_calamine
from report_rows import AS_OF, DATA, EMPTY, MARK, metric
from sandbox_hub import tundish

from core.errors import UserError
from jobs.commands.reports import _ending, _wanted
from jobs.footnotes import superscript
from jobs.report import BINARY, render, render_file
from jobs.report.content import selected
from jobs.report.overview import overview_table, tiles
from jobs.show_marks import marked, marks, spoilt
from jobs.show_pivots import tables
from jobs.show_quality import missing_table
from jobs.show_table import plain_text


def sheets(name: str, data: dict[str, Any] = DATA) -> dict[str, list[list[Any]]]:
    book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(render_file(data, "xlsx", name)))
    return {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}


# -- workbook -------------------------------------------------------------------------------------------------------------
def test_a_workbook_has_a_sheet_a_table_and_numbers_as_numbers() -> None:
    found = sheets("all")
    assert list(found)[:4] == ["about", "in short", "Funnel", "Funnel, broken down"]
    assert found["about"][1:] == [
        ["as of", AS_OF],
        ["hubspot read whole", AS_OF],
        ["in no number: persons (colleagues and tests) (of 122)", 2],
    ]
    assert {"data quality", "Waterfall", "findings by rule"} <= set(found)
    head, *rows = found["Waterfall"]
    start = dict(zip(head, rows[0], strict=True))
    assert (start["bucket"], start["value"], start["unit"]) == ("start", 100_000.0, "EUR")


def test_text_in_a_workbook_is_never_a_formula_a_link_or_a_number() -> None:
    rows = [metric("sources", "source_persons", {"source": text}, 1) for text in ("=1+1", "https://x.example", "0042")]
    book = render_file({**DATA, "metrics": rows}, "xlsx", "sources")
    import zipfile

    sheet = zipfile.ZipFile(io.BytesIO(book)).read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "hyperlink" not in sheet
    assert [row[1] for row in sheets("sources", {**DATA, "metrics": rows})["Sources"][1:]] == ["=1+1", "https://x.example", "0042"]


def test_the_same_data_makes_the_same_workbook_and_nothing_makes_one_that_says_so() -> None:
    assert render_file(DATA, "xlsx", "funnel") == render_file(DATA, "xlsx", "funnel")
    assert sheets("funnel", EMPTY) == {"funnel": [["nothing to report yet"]]}


# -- formats --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("file", "form"), [("a.png", "png"), ("a.XLSX", "xlsx"), ("a.html", "html"), ("a.txt", "table"), (None, "table")])
def test_a_files_name_says_its_format(file: str | None, form: str) -> None:
    assert _ending(file) == form


def test_a_forecast_in_pictures_is_measured_with_what_was_won_and_how_past_ones_did() -> None:
    assert _wanted("forecast", drawn=False, backtest=False) == ("forecast",)
    assert _wanted("forecast", drawn=False, backtest=True) == ("forecast", "backtest")
    assert set(_wanted("forecast", drawn=True, backtest=False)) == {"forecast", "backtest", "winrate"}
    assert _wanted("findings", drawn=True, backtest=False) == ()


@pytest.mark.parametrize("form", BINARY)
def test_what_is_no_text_wants_a_file(form: str, tmp_path: Path) -> None:
    said = tundish("report", "funnel", "--format", form)
    assert said.code == 2
    assert f"--output funnel.{form}" in said.err


def test_a_report_without_charts_has_no_picture() -> None:
    with pytest.raises(UserError, match="the report plan has no charts"):
        render_file(DATA, "png", "plan")
    assert render_file(EMPTY, "png", "funnel").startswith(b"\x89PNG")  # it says what is missing
    assert render_file(DATA, "md", "funnel").decode() == render(DATA, "md", "funnel")
    with pytest.raises(ValueError, match="no report 'sales'"):
        render_file(DATA, "xlsx", "sales")


# -- marks ----------------------------------------------------------------------------------------------------------------
def test_a_number_carries_what_is_left_out_of_it_and_what_spoils_it() -> None:
    row = metric(
        "pipeline", "pipeline_value", {}, 1.0, "mixed", excluded=json.dumps({"in USD": 20700.0, "still open": 3, "backtest": "none"})
    )
    assert marks(row) == ("mixed currencies", "in USD 20,700", "still open 3")
    assert spoilt(row) == ("mixed currencies", "in USD 20,700")
    assert marks(metric("pipeline", "open_deals", {}, 1.0)) == ()


def test_vendors_marks_stand_beside_the_numbers_made_of_their_counts() -> None:
    by_tool = metric("experiments", "experiment_vendor", {"tool": "ga4", "goal": "x"}, 1.0)
    by_source = metric("experiments", "experiment_visitors", {"source": "ga4:costs"}, 1.0)
    by_reports = metric("attribution", "campaign_cost", {}, 1.0, excluded={"counted by": "files costs, ga4 costs"})
    others = [
        metric("experiments", "experiment_vendor", {"tool": "vwo"}, 1.0),
        metric("experiments", "experiment_visitors", {"source": "ga4:events"}, 1.0),
        metric("attribution", "campaign_cost", {}, 1.0, excluded={"counted by": "files costs"}),
        metric("funnel", "entered", {"source": "ga4"}, 1.0),
    ]
    said = [marks(row) for row in marked([by_tool, by_source, by_reports, *others], [MARK])]
    assert said == [("ga4 costs: restated (3 of 40)",)] * 3 + [()] * 4


@pytest.mark.parametrize("form", ["table", "md", "html"])
def test_a_spoilt_number_has_a_sign_and_a_footnote_and_a_clean_one_beside_it_none(form: str) -> None:
    rows = selected(DATA, "attribution")["metrics"]
    text = "\n".join(map(plain_text, tables(rows, "attribution"))) if form == "table" else render(DATA, form, "attribution")
    assert "900¹" in text
    assert "800¹" not in text
    assert "¹ ga4 costs: restated (3 of 40)." in text


def test_what_half_of_a_tables_numbers_share_is_said_once_without_signs() -> None:
    usd = json.dumps({"in USD": 2})
    rows = [metric("sources", "source_won_value", {"source": s, "currency": "EUR"}, 5.0, "EUR", excluded=usd) for s in "ab"]
    rows.append(metric("sources", "source_won_value", {"source": "c", "currency": "EUR"}, 7.0, "EUR"))
    rows.append(metric("sources", "source_persons", {"source": "a"}, 7))
    [shown] = tables(rows, "sources")
    assert shown.note == "Most of it: in USD 2."
    assert not any("¹" in cell for row in shown.rows for cell in row)
    assert superscript(12) == "¹²"


def test_marks_are_a_column_of_the_csv() -> None:
    head, *lines = render(DATA, "csv", "attribution").splitlines()
    assert head.endswith(",marks")
    assert [line.rpartition(",")[2] for line in lines if line.startswith("campaign_cost,")] == ["ga4 costs: restated (3 of 40)", "", ""]


def test_the_page_says_what_share_of_rows_its_numbers_are_without() -> None:
    unmapped = metric("pipeline", "open_deals", {"stage": "(unmapped)"}, 5, "deals")
    dollars = metric("pipeline", "pipeline_value", {"stage": "Closing", "currency": "USD"}, 9.0, "USD", n=2)
    found = missing_table([*selected(DATA, "all")["metrics"], unmapped, dollars])
    assert found is not None
    assert found.rows == (
        ("persons without a stage: none, or one no mapping names (G-01)", "4", "154", "2.6 %"),
        ("open deals whose stage no mapping names (G-01)", "5", "20", "25.0 %"),
        ("open deals in another currency than the report's", "2", "20", "10.0 %"),
    )
    assert "persons without a stage: none, or one no mapping names (G-01)" in render(DATA, "html")
    assert missing_table([]) is None


# -- in short -------------------------------------------------------------------------------------------------------------
def test_eight_numbers_with_how_they_moved_and_their_marks() -> None:
    found = {tile.label: tile for tile in tiles(selected(DATA, "all"))}
    assert list(found) == [
        "new leads in 2026-05", "new MQLs in 2026-05", "new opportunities in 2026-05", "open pipeline", "won in 2026-Q2 so far",
        "win rate, last 365 days", "coverage of 2026-Q2", "sales velocity",
    ]  # fmt: skip
    leads = found["new leads in 2026-05"]  # June is not over
    assert (leads.value, leads.change, leads.series) == ("28", "34 in 2026-04 (−18 %)", (20, 34, 28))
    assert (found["open pipeline"].value, found["open pipeline"].marks) == ("155 k EUR", ("in USD 20,700",))
    coverage, velocity = found["coverage of 2026-Q2"], found["sales velocity"]
    assert (coverage.value, coverage.change) == ("3.1 ×", "155 k due, 50 k still to be won")
    assert (velocity.value, velocity.change) == ("2.5 k EUR a day", "100 deals × 40 % × 9 k ÷ 30 days")
    assert tiles(selected(EMPTY, "all")) == []


def test_a_number_that_cannot_be_computed_says_why_and_nothing_is_no_base_of_a_change() -> None:
    no_target = metric("pipeline", "coverage", {"period": "2026-Q2"}, None, "×", excluded={"not computable": "the funnel has no target"})
    entered = [metric("funnel", "entered", {"month": month, "stage": "M20"}, n) for month, n in (("2026-04", 0), ("2026-05", 7))]
    was = metric("waterfall", "waterfall", {"bucket": "start", "due": "any", "from": "2026-04-01"}, 90_000.0, "EUR")
    worth = metric("pipeline", "pipeline_value", {"stage": "all", "currency": "EUR"}, 120_000.0, "EUR")
    found = {tile.label: tile for tile in tiles(selected({**DATA, "metrics": [no_target, *entered, was, worth]}, "all"))}
    assert (found["coverage of 2026-Q2"].value, found["coverage of 2026-Q2"].marks) == ("–", ("the funnel has no target",))
    assert found["new leads in 2026-05"].change == "0 in 2026-04"
    assert found["open pipeline"].change == "0 deals, 90 k on 2026-04-01"


def test_a_tile_says_whether_its_number_is_whole() -> None:
    page = render(DATA, "html")
    assert page.count("✓ whole") == 7
    assert '<small class="mark">in USD 20,700</small>' in page


def test_the_terminal_has_them_with_sparklines() -> None:
    shown = overview_table(selected(DATA, "funnel"))
    assert shown is not None
    assert shown.rows[0] == ("new leads in 2026-05", "28", "34 in 2026-04 (−18 %)", "▅█▇", "")


def test_tables_by_month_end_with_a_sparkline_where_one_is_asked_for() -> None:
    rows = selected(DATA, "funnel")["metrics"]
    entered = next(t for t in tables(rows, "funnel", sparks=True) if t.title == "Entered in the month")
    assert entered.rows[-1] == ("trend", "▅█▇▁", "▅█▇▁", "▅█▇▁")
    assert all(row[0] != "trend" for t in tables(rows, "funnel") for row in t.rows)
