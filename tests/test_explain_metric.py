"""The rows behind a number: of the one number the dimensions leave, or how to say which."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from test_measure import MARCH, R20, steps_of
from unified_rows import tables

from core.compiled import over
from core.errors import UserError
from core.facts import facts
from core.measure import FAMILIES, measure
from core.measure.explain import _ROWS
from core.resolve import resolve
from jobs.explain import explain_metric
from jobs.steps import _LIKELY


@pytest.fixture(scope="module")
def known() -> tuple[Any, list[dict[str, Any]]]:
    given = tables(**steps_of(R20))
    run = over(given, {})
    found = SimpleNamespace(facts=facts(given, resolve(given, {}, compiled=run).members, {}, MARCH, run), as_of=MARCH)
    return found, measure(found.facts, {}, MARCH, ("funnel",)).to_pylist()


def explained(known: tuple[Any, list[dict[str, Any]]], name: str, **dims: str) -> tuple[dict[str, Any], str]:
    found, rows = known
    return explain_metric(found, rows, name, dims, 50, {})


def test_one_number_lists_its_rows_whatever_else_its_dimensions_are(known: Any) -> None:
    data, text = explained(known, "reach", cohort="2025-01", mode="implied", to="M80")
    assert {r["vendor_id"] for r in data["rows"]} == {"p1", "p3"}
    assert "2 rows behind it" in text
    [value] = data["values"]
    assert value["numerator"] == 2


def test_several_numbers_say_how_to_name_one(known: Any) -> None:
    data, text = explained(known, "reach", cohort="2025-01")
    assert data["rows"] == []
    assert len(data["values"]) == 15
    assert "for the rows behind one of these 15 numbers: --dim mode=" in text
    assert "--dim to=M20|M30|M40|M50|…" in text
    assert "--dim cohort" not in text.splitlines()[-1]  # it is the same for all


def test_a_number_that_is_not_there_is_a_mistake_with_the_choices(known: Any) -> None:
    with pytest.raises(UserError, match="no number of reach has --dim cohort=1999-01") as wrong:
        explained(known, "reach", cohort="1999-01")
    assert "--dim mode=implied|strict|any" in (wrong.value.next_step or "")
    with pytest.raises(UserError, match="no metric 'reech'; did you mean 'reach'"):
        explained(known, "reech")


def test_every_metric_that_lists_rows_is_looked_for_in_a_family_there_is() -> None:
    assert {family for _, family in _LIKELY} <= set(FAMILIES)
    assert all(any(name.startswith(beginning) for name in _ROWS) for beginning, _ in _LIKELY if beginning not in ("backtest", "campaign"))
