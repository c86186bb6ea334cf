"""Metric rows as the charts ask for them, and numbers as short as a chart needs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.show_metrics import excluded, number, rank

Data = Mapping[str, Any]
Row = Mapping[str, Any]


def rows(data: Data, name: str, **where: str) -> list[Row]:
    """The metrics of that name with these dimensions; their `dimensions` are open (`jobs.report.content.selected`)."""
    wanted = where.items()
    return [row for row in data.get("metrics", ()) if row["name"] == name and wanted <= row["dimensions"].items()]


def by(found: list[Row], *dims: str) -> dict[Any, Row]:
    """Rows by the value of a dimension, stages in order of the ladder and all else as it came; several dimensions: by a tuple."""
    keyed = {_key(row, dims): row for row in found if all(dim in row["dimensions"] for dim in dims)}
    if len(dims) > 1:
        return keyed
    return {key: keyed[key] for key in sorted(keyed, key=rank)}


def _key(row: Row, dims: tuple[str, ...]) -> Any:
    named = tuple(row["dimensions"][dim] for dim in dims)
    return named[0] if len(named) == 1 else named


def why_not(found: list[Row]) -> str:
    """Why there is no number, in the metrics' own words; "" where they do not say."""
    return "; ".join(dict.fromkeys(str(said["not computable"]) for row in found if "not computable" in (said := excluded(row))))


def compact(value: float) -> str:
    """1.82 M, 392 k, 950: three digits that matter."""
    for size, letter in ((1e9, "bn"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 0.9995:
            return f"{value / size:.3g} {letter}" if abs(value) < size * 999.5 else f"{value / size:,.0f} {letter}"
    return number(round(value) if abs(value) >= 100 else round(value, 2))


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def months(found: Mapping[str, Any], last: int) -> list[str]:
    """The latest names of months or quarters, in order."""
    return sorted(key for key in found if key[:1].isdigit())[-last:]
