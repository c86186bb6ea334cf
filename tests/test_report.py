"""The report in its four formats: nothing runs in a spreadsheet or a browser that should not, and no address is in it."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from test_show import FAMILY

from jobs.report import FORMATS, NAMES, render
from jobs.report.plain import safe

AS_OF = "2026-06-30T02:00:00+00:00"


def metric(name: str, dims: dict[str, Any], value: float | None, unit: str, **more: Any) -> dict[str, Any]:
    row = {
        "family": FAMILY.get(name.partition("_")[0], "funnel"),
        "name": name,
        "definition": "",
        "dimensions": json.dumps(dims),
        "value": value,
        "unit": unit,
        "n": 100,
        "excluded": "{}",
    }
    return {**row, "numerator": None, "denominator": None, "low": None, "high": None, **more}


def reach(to: str, part: int) -> dict[str, Any]:
    dims = {"cohort": "all", "from": "M20", "mode": "implied", "to": to}
    return metric("reach", dims, part / 100, "share", numerator=part, denominator=100)


METRICS = [
    *(reach(to, part) for to, part in (("M20", 100), ("M30", 60), ("M80", 15))),
    metric("open_deals", {"stage": "Closing"}, 2, "deals"),
    metric("open_deals", {"stage": "Prospecting"}, 8, "deals"),
    metric("pipeline_value", {"stage": "Closing", "currency": "EUR"}, 5000.0, "EUR"),
    metric("win_rate", {"by": "count", "period": "2026-Q2"}, 0.4, "share", numerator=40, denominator=100, low=0.3, high=0.5),
    metric("source_persons", {"source": "=cmd|' /C calc'!A0"}, 7, "persons"),
    metric("source_persons", {"source": "web"}, 12, "persons"),
]
CHANGE = {
    "change_id": "c1", "account": "hubspot", "target": "contacts", "vendor_id": "101", "field": "lifecyclestage", "type": "text",
    "before": "lead", "after": "<b>customer</b>", "why": "a won deal", "policy": "never_regress", "rule": "S-02", "entity_id": "per_1",
}  # fmt: skip
FINDINGS: list[dict[str, Any]] = [
    {
        "rule": "D-01", "severity": "S2", "title": "Amount drift", "entity_id": "dea_1", "entity_kind": "deal", "field": "amount",
        "systems": ["hubspot", "salesforce"], "values": {"hubspot": "10", "salesforce": "-12"}, "records": [["hubspot", "deals", "7"]],
        "since": "2026-06-01T00:00:00Z", "status": "open", "question": "Which is right?", "fix": None,
    },
    {
        "rule": "C-01", "severity": "S1", "title": "Unsubscribed: jane@example.com", "entity_id": "per_1", "entity_kind": "person",
        "field": "email", "systems": ["mailchimp"], "values": '{"mailchimp": "jane@example.com"}',
        "records": [["mailchimp", "members", "abc"]], "since": None, "status": "open", "question": None,
        "fix": {"account": "hubspot", "field": "marketable", "value": "false"},
    },
]  # fmt: skip
HELD = {
    "account": "hubspot", "target": "deals", "vendor_id": "7", "field": "amount", "live": "1", "wanted": "2", "reason": "policy manual",
    "rule": "D-01",
}  # fmt: skip
COUNT = {
    "run_id": "r", "account": "hubspot", "resource": "contacts", "vendor_total": 60, "kept": 60, "rejected": 1, "appended": 60,
    "deleted": 0, "status": "done", "reason": "",
}  # fmt: skip
MARK = {
    "account": "ga4", "report": "traffic", "mark": "sampled", "values": 30, "of": 90, "days": 10, "first_day": "2026-06-01",
    "last_day": "2026-06-10", "sample": "250000 of 1000000", "meaning": "estimated from a sample",
}  # fmt: skip
DATA: dict[str, Any] = {
    "as_of": AS_OF,
    "organisation": "Lumen & <script>alert(1)</script> Loom",
    "freshness": {"hubspot": AS_OF},
    "records": [COUNT],
    "entities": {"person": 60, "company": 20, "deal": 30},
    "findings": FINDINGS,
    "truth": {"planted": 2, "found": 2, "missed": 0, "false": 0, "rules": {"D-01": {"planted": 2, "found": 2, "missed": 0, "false": 0}}},
    "metrics": METRICS,
    "quality": [MARK],
    "plan": {
        "plan_id": "abc123", "created_at": AS_OF, "expires_at": AS_OF, "as_of": AS_OF, "changes": [CHANGE], "refusals": ["too many"],
        "held": [HELD],
    },
    "apply": {"applied": 1},
    "undo": {"undone": 1},
    "rejects": [{"vendor_id": "55", "place": "mappings/hubspot.yaml:12", "reason": "email: 'jane@example.com' is no date"}],
}  # fmt: skip


class Page(HTMLParser):
    """Tags, links and whether every tag is closed in order."""

    VOID = frozenset({"meta", "br", "rect", "link", "img", "input", "hr"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attrs: list[tuple[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attrs += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("name", NAMES)
def test_every_report_renders_in_every_format_from_all_data_and_from_none(name: str, format_: str) -> None:
    assert "jane" not in render(DATA, format_, name)
    assert isinstance(render({"as_of": AS_OF, "organisation": "x", "plan": None, "metrics": []}, format_, name), str)


def test_an_unknown_format_or_name_is_refused() -> None:
    with pytest.raises(ValueError, match="no format 'pdf'"):
        render(DATA, "pdf")
    with pytest.raises(ValueError, match="no report 'sales'"):
        render(DATA, "json", "sales")


@pytest.mark.parametrize("name", ["all", "quality"])
@pytest.mark.parametrize("format_", FORMATS)
def test_counts_that_are_not_whole_carry_their_mark_in_every_format(name: str, format_: str) -> None:
    shown = render(DATA, format_, name)
    assert [word for word in ("traffic", "sampled", "estimated from a sample", "250000 of 1000000") if word not in shown] == []
    clean = render({**DATA, "quality": []}, format_, name)
    assert ("no vendor marks its counts" in clean.lower()) == (format_ in ("html", "md"))
    assert "1</b> reports whose counts are not whole" not in clean


# -- HTML -----------------------------------------------------------------------------------------------------------------
def test_the_page_is_whole_escaped_and_asks_the_network_for_nothing() -> None:
    html = render(DATA, "html")
    page = Page(html)
    assert page.open == []
    assert "<script" not in html
    assert "&lt;b&gt;customer&lt;/b&gt;" in html
    assert not re.search(r"(?:src|href)\s*=\s*[\"'](?!#)", html)
    assert "url(" not in html
    assert "default-src 'none'" in html


def test_the_page_has_one_heading_landmarks_and_scrollable_tables_for_the_keyboard() -> None:
    page = Page(render(DATA, "html"))
    assert page.tags.count("h1") == 1
    assert {"header", "main", "nav", "footer", "section", "thead"} <= set(page.tags)
    assert page.attrs.count(("tabindex", "0")) == page.tags.count("table")
    targets = {value for name, value in page.attrs if name == "id"}
    assert {value[1:] for name, value in page.attrs if name == "href" and value} <= targets


def test_a_plan_alone_makes_a_page_of_the_plan() -> None:
    html = render({"as_of": AS_OF, "organisation": "x", "plan": DATA["plan"]}, "html")
    assert "Plan abc123: 1 changes on 1 records, good until 2026-06-30 02:00 UTC, 1 held back. Refused: too many." in html
    assert 'id="funnel"' not in html


# -- CSV ------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", " =", "＝"])
def test_text_that_a_spreadsheet_would_run_is_escaped(start: str) -> None:
    assert safe(f"{start}1+1") == f"'{start}1+1"


def test_numbers_stay_numbers_and_dates_stay_dates() -> None:
    assert [safe(v) for v in (-5, -0.5, None, "2026-06-30", "plain")] == [-5, -0.5, None, "2026-06-30", "plain"]


def test_a_named_csv_is_one_table_with_a_column_for_each_dimension() -> None:
    rows = list(csv.DictReader(io.StringIO(render(DATA, "csv", "sources"))))
    assert [(r["metric"], r["source"], r["value"]) for r in rows] == [
        ("source_persons", "'=cmd|' /C calc'!A0", "7"),
        ("source_persons", "web", "12"),
    ]
    [planned] = csv.DictReader(io.StringIO(render({**DATA, "apply": None, "undo": None}, "csv", "plan")))
    assert (planned["before"], planned["after"], planned["rule"]) == ("lead", "<b>customer</b>", "S-02")


def test_csv_of_all_names_each_table() -> None:
    rows = list(csv.reader(io.StringIO(render(DATA, "csv"))))
    titles = [rows[i + 1][0] for i, row in enumerate(rows[:-1]) if not row]
    assert rows[0] == ["metrics"]
    assert titles == ["data quality", "findings", "findings by rule", "plan", "apply", "undo", "records", "rejects", "entities"]


# -- JSON and Markdown ----------------------------------------------------------------------------------------------------
def test_json_has_the_parts_of_the_report_with_opened_columns() -> None:
    data = json.loads(render(DATA, "json", "findings"))
    assert set(data) == {"report", "organisation", "as_of", "freshness", "findings", "truth"}
    assert [f["severity"] for f in data["findings"]] == ["S1", "S2"]
    assert data["findings"][0]["values"] == {"mailchimp": "<not shown>"}
    assert json.loads(render(DATA, "json", "winrate"))["metrics"][0]["dimensions"] == {"by": "count", "period": "2026-Q2"}


def test_markdown_keeps_vendors_text_out_of_its_marks() -> None:
    text = render({**DATA, "organisation": "a|b *c*"}, "md")
    assert text.startswith("# a\\|b \\*c\\*: all")
    assert "\\<b\\>customer\\</b\\>" in text
    assert " D-01 " in text


def test_a_family_shown_with_another_stands_in_its_own_section_once() -> None:
    row = {
        "definition": "",
        "value": 0.5,
        "numerator": 5,
        "denominator": 10,
        "n": 10,
        "low": None,
        "high": None,
        "unit": "share",
        "excluded": {},
    }
    made = [
        {**row, "family": "forecast", "name": "forecast_held", "dimensions": {"horizon": "2026-Q2", "quantile": "P10 to P90 held before"}},
        {**row, "family": "forecast", "name": "forecast_part", "dimensions": {"horizon": "2026-Q2", "part": "all"}},
        {**row, "family": "backtest", "name": "backtest_coverage", "dimensions": {"kind": "period", "method": "calibrated"}},
        {**row, "family": "backtest", "name": "backtest", "dimensions": {"kind": "period", "method": "calibrated", "score": "wape"}},
    ]
    text = render({**DATA, "metrics": made}, "md", "forecast")
    assert text.count("how often the 80 % band held") == 1
    assert text.index("## Forecast") < text.index("## Backtest of the forecast")


def test_silence_is_agreement_only_where_something_was_pulled():
    data = {
        **{key: DATA[key] for key in ("as_of", "organisation", "freshness")},
        "left_out": {},
        "metrics": [],
        "quality": [],
        "findings": [],
    }
    assert "The systems agree." in render(data, "md", "findings")
    silent = render({**data, "silence": "no findings: nothing was pulled yet"}, "md", "findings")
    assert "nothing was pulled yet" in silent
    assert "agree" not in silent
