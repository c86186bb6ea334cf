"""What vendors' texts may carry: formulas, mark-up, terminal commands, reversed reading. None of it works where we show it."""

from __future__ import annotations

import csv
import io
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sandbox_hub import standing, tundish

from core.change import Change, Held, Outcome, Plan
from core.errors import VendorError
from jobs import show
from jobs.cli import _fail
from jobs.report import render

EVIL = '=HYPERLINK("http://x","y")<script>alert(1)</script>\x1b[31mred\x1b]0;title\x07\u202eback\nline\x00|a| [x](javascript:1) ![i](http://x/i.png)'
STEERING = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e]")
NOW = datetime(2026, 6, 30, tzinfo=UTC)
CHANGE = Change("c1", "hubspot", "deals", EVIL, "dealname", "text", EVIL, EVIL, EVIL, "derived", "D-01", "dea_1")
PLAN = Plan("abc", NOW, NOW + timedelta(hours=1), NOW, (CHANGE,), (Held("hubspot", "deals", EVIL, "f", EVIL, EVIL, EVIL, "D-01"),))
DATA = {
    "as_of": NOW.isoformat(),
    "organisation": EVIL,
    "plan": PLAN.to_json(),
    "rejects": [{"vendor_id": EVIL, "place": "x", "reason": EVIL}],
}


def test_a_terminal_is_not_steered(capsys: pytest.CaptureFixture[str]) -> None:
    _fail(VendorError(EVIL, where=EVIL))
    for shown in (show.plan_text(PLAN), show.outcomes_text([Outcome("c1", "rejected", EVIL)]), capsys.readouterr().err):
        assert "HYPERLINK" in shown
        assert not STEERING.search(shown)


@pytest.mark.parametrize("kind", ["csv", "md", "html"])
def test_a_report_is_not_steered(kind: str) -> None:
    shown = render(DATA, kind)
    assert "HYPERLINK" in shown
    assert not STEERING.search(shown)


def test_a_spreadsheet_runs_nothing() -> None:
    cells = [cell for row in csv.reader(io.StringIO(render(DATA, "csv"))) for cell in row]
    assert sum(cell.startswith("'=HYPERLINK") for cell in cells) >= 4
    assert not any(cell.startswith("=") for cell in cells)


def test_markup_stays_text() -> None:
    assert "<script>alert" not in render(DATA, "html")
    assert not re.search(r"(?<!\\)[<\[]", "".join(line for line in render(DATA, "md").splitlines() if "HYPERLINK" in line))


def test_an_answer_as_csv_runs_nothing_either(tmp_path: Path) -> None:
    with standing(tmp_path, size=1, vendors=["mailchimp"]) as sandbox:
        said = tundish("--config", sandbox.config, "sql", "select '=1+1' as x, -5 as n", "--format", "csv")
        assert said.out.split() == ["x,n", "'=1+1,-5"]


def test_a_closed_output_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)  # what Python makes of `tundish runs >&-`
    assert show.table_text(["a"], [["b"]]) == "a\n-\nb"


def test_ctrl_c_says_that_nothing_is_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*args: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("jobs.wiring.load_setup", stopped)
    (tmp_path / "config.yaml").write_text("")
    said = tundish("--config", tmp_path / "config.yaml", "runs")
    assert (said.code, "the same command goes on" in said.err) == (130, True)
