"""Options of `tundish report` that would change nothing, or of which nothing is left, and files that cannot be written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from report_rows import metric

from core.errors import UserError
from jobs.commands.reports import _of_owner, _suited
from jobs.outputs import place
from jobs.show_pivots import tables


def test_an_option_of_another_report_is_refused_and_the_report_named() -> None:
    with pytest.raises(UserError, match="--backtest is for the report forecast, not funnel"):
        _suited("funnel", backtest=True, model=None, owner=None)
    with pytest.raises(UserError, match="--owner is for the report next, not pipeline") as caught:
        _suited("pipeline", backtest=False, model=None, owner="ada@example.com")
    assert "--only owner=ada@example.com" in str(caught.value.next_step)
    _suited("all", backtest=True, model="w", owner="ada@example.com")


def step(owner: str) -> dict[str, Any]:
    dims = {"owner": owner, "place": 1, "entity": "dea_1", "state": "open", "why": "late", "action": "re-date", "due": ""}
    return metric("next", "follow_up", dims, 10.0, "EUR")


def test_of_one_owner_nothing_counts_what_others_have_to_do() -> None:
    everybody = metric("next", "follow_ups", {"step": "re_date", "state": "open", "why": "late", "action": "re-date"}, 2)
    mine = _of_owner([everybody, step("Ada@example.com"), step("bob@example.com")], "ada@example.com")
    assert [t.title for t in tables(mine, "next")] == ["Next steps of Ada@example.com"]


def test_an_owner_without_a_step_is_answered_with_those_who_have_some() -> None:
    with pytest.raises(UserError, match=r"did you mean 'ada@example.com'") as caught:
        _of_owner([step("ada@example.com")], "adah@example.com")
    assert caught.value.next_step == "who has some: ada@example.com"


def test_a_file_in_a_folder_there_is_none_of_is_refused_before_any_work(tmp_path: Path) -> None:
    place(""), place("report.html"), place(str(tmp_path / "report.html"))
    with pytest.raises(UserError, match=r"gone: no such folder for report.html"):
        place(str(tmp_path / "gone" / "report.html"))
