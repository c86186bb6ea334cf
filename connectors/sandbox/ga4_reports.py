"""runReport: the request checked as the vendor does, facts grouped, filtered, ordered and cut into pages.

All values are texts, what is zero or empty is left out, and the reply says nothing of limit and offset.
Source: https://developers.google.com/analytics/devguides/reporting/data/v1/rest/v1beta/properties/runReport, read 2026-11-23
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from connectors.sandbox import ga4_filters as filters
from connectors.sandbox.ga4_facts import APART, DIMENSIONS, Fact, Facts, Metric, metric
from connectors.sandbox.ga4_quota import Quota
from connectors.sandbox.ga4_wire import Refusal, bad, known_only, whole_number
from connectors.sandbox.kit import Clock

MOST_DIMENSIONS, MOST_METRICS, MOST_RANGES, MOST_REPORTS = 9, 10, 4, 5
LIMIT, MOST_ROWS = 10_000, 250_000
OTHER = "(other)"
TYPES = (
    "METRIC_TYPE_UNSPECIFIED", "TYPE_INTEGER", "TYPE_FLOAT", "_", "TYPE_SECONDS", "TYPE_MILLISECONDS", "TYPE_MINUTES", "TYPE_HOURS",
    "TYPE_STANDARD", "TYPE_CURRENCY", "TYPE_FEET", "TYPE_MILES", "TYPE_METERS", "TYPE_KILOMETERS",
)  # fmt: skip
REQUEST = (
    "property", "dimensions", "metrics", "dateRanges", "dimensionFilter", "metricFilter", "offset", "limit", "metricAggregations",
    "orderBys", "currencyCode", "cohortSpec", "keepEmptyRows", "returnPropertyQuota", "comparisons",
)  # fmt: skip


@dataclass
class Knobs:
    """What spoils the numbers of a real property. threshold: users a row must have. cardinality: rows before the rest is "(other)"."""

    threshold: int = 0
    cardinality: int = 0
    sampling: float = 1.0


@dataclass
class Row:
    dimensions: list[str]
    metrics: list[float]
    users: int
    events: int


@dataclass(frozen=True)
class Asked:
    """A checked request."""

    dimensions: list[str]
    metrics: list[tuple[str, Metric]]
    ranges: list[tuple[str, date, date]]
    body: Mapping[str, Any]
    personal: bool

    @property
    def days(self) -> int:
        return sum((last - first).days + 1 for _, first, last in self.ranges)


class Reports:
    def __init__(self, facts: Facts, quota: Quota, clock: Clock, currency: str) -> None:
        self.facts, self.quota, self.clock, self.currency = facts, quota, clock, currency
        self.knobs = Knobs()
        self._turn = 0

    def run(self, body: Any, *, ints: bool = False) -> dict[str, Any]:
        """Raises: Refusal."""
        asked = self.checked(body)
        self.quota.check()
        rows = self._rows(asked)
        limit = min(whole_number(body.get("limit"), "limit", LIMIT) or LIMIT, MOST_ROWS)
        offset = whole_number(body.get("offset"), "offset")
        if limit < 0 or offset < 0:
            raise bad("Limit and offset must not be negative.")
        tokens = self.quota.charge(asked.days, len(asked.dimensions), len(rows), asked.personal)
        reply: dict[str, Any] = {
            "dimensionHeaders": [{"name": name} for name in self._headers(asked)],
            "metricHeaders": [{"name": name, "type": TYPES.index(m.type) if ints else m.type} for name, m in asked.metrics],
            "rows": [_shown(row, asked) for row in rows[offset : offset + limit]],
            "totals": [_total(rows, asked)] if "TOTAL" in body.get("metricAggregations", ()) and rows else [],
            "rowCount": len(rows),
            "metadata": self._metadata(asked),
        }
        if body.get("returnPropertyQuota"):
            reply["propertyQuota"] = self.quota.shown(tokens, asked.personal)
        return {name: value for name, value in reply.items() if value} | {"kind": "analyticsData#runReport"}

    # -- the request --------------------------------------------------------------------------------------------------------
    def checked(self, body: Any) -> Asked:
        known_only(body, REQUEST)
        names = [self._dimension(known_only(d, ["name", "dimensionExpression"], "dimensions")) for d in body.get("dimensions", ())]
        asked = [known_only(m, ["name", "expression", "invisible"], "metrics").get("name", "") for m in body.get("metrics", ())]
        if len(names) > MOST_DIMENSIONS:
            raise bad(f"Requests are limited to {MOST_DIMENSIONS} dimensions. This request is for {len(names)} dimensions.")
        if len(asked) > MOST_METRICS:
            raise bad(f"Requests are limited to {MOST_METRICS} metrics. This request is for {len(asked)} metrics.")
        if not names and not asked:
            raise bad("This request is empty: it has neither dimensions nor metrics.")
        for kind, all_ in (("dimension", names), ("metric", asked)):
            if twice := next((n for n in all_ if all_.count(n) > 1), None):
                raise bad(f"Duplicate {kind} {twice} in the request.")
        metrics = [(name, self._metric(name)) for name in asked]
        filtered = [self._dimension({"name": n}) for n in filters.fields(body["dimensionFilter"])] if body.get("dimensionFilter") else []
        for name in filters.fields(body["metricFilter"]) if body.get("metricFilter") else ():
            if name not in asked:
                raise bad(f"Field {name} is not a metric of this request.")
        check_together([*names, *filtered], asked)
        self._check_orders(body, names, asked)
        personal = any(DIMENSIONS[n].personal for n in [*names, *filtered]) or self.knobs.threshold > 0
        return Asked(names, metrics, self._ranges(body), body, personal)

    def _dimension(self, given: Mapping[str, Any]) -> str:
        name = str(given.get("name") or "")
        if name not in DIMENSIONS:
            hint = f"Did you mean {near}? " if (near := _near(name)) else ""
            raise bad(f"{hint}Field {name} is not a valid dimension. For a list of valid dimensions and metrics, see the API schema.")
        return name

    def _metric(self, name: str) -> Metric:
        found = metric(name, self.facts)
        if found is None:
            raise bad(f"Field {name} is not a valid metric. For a list of valid dimensions and metrics, see the API schema.")
        return found

    def _check_orders(self, body: Mapping[str, Any], names: Sequence[str], asked: Sequence[str]) -> None:
        for order in body.get("orderBys", ()):
            known_only(order, ["dimension", "metric", "pivot", "desc"], "order_bys")
            name = (order.get("dimension") or {}).get("dimensionName") or (order.get("metric") or {}).get("metricName")
            if name not in {*names, *asked}:
                raise bad(f"The order by field {name} is not in the request.")

    def _ranges(self, body: Mapping[str, Any]) -> list[tuple[str, date, date]]:
        given = body.get("dateRanges", ())
        if not 0 < len(given) <= MOST_RANGES:
            raise bad(f"A request must have 1 to {MOST_RANGES} date ranges. This request has {len(given)}.")
        found = []
        for i, part in enumerate(given):
            known_only(part, ["startDate", "endDate", "name"], "date_ranges")
            first, last = self.day(part.get("startDate")), self.day(part.get("endDate"))
            if first > last:
                raise bad(f"startDate {first} must be on or before endDate {last}.")
            found.append((part.get("name") or f"date_range_{i}", first, last))
        return found

    def day(self, text: Any) -> date:
        """A day in the property's zone: YYYY-MM-DD, today, yesterday or NdaysAgo."""
        today = self.facts.today(self.clock.now())
        if ago := re.fullmatch(r"(\d+)daysAgo", str(text)):
            return today - timedelta(days=int(ago[1]))
        if text in ("today", "yesterday"):
            return today - timedelta(days=text == "yesterday")
        try:
            return date.fromisoformat(text)
        except (TypeError, ValueError):
            raise bad(f"Invalid date: {text}. Use YYYY-MM-DD, NdaysAgo, yesterday, or today.") from None

    # -- the rows -----------------------------------------------------------------------------------------------------------
    def _headers(self, asked: Asked) -> list[str]:
        return [*asked.dimensions, *(["dateRange"] if len(asked.ranges) > 1 else [])]

    def _rows(self, asked: Asked) -> list[Row]:
        rows: list[Row] = []
        for name, first, last in asked.ranges:
            facts = self._sampled(self.facts.between(first, last, self.clock.now()))
            if where := asked.body.get("dimensionFilter"):
                facts = [f for f in facts if filters.fits(where, lambda n, f=f: DIMENSIONS[n].of(f, self.facts))]  # type: ignore[misc]
            mark = [name] if len(asked.ranges) > 1 else []
            rows += [self._row(key, mark, group, asked) for key, group in self._grouped(facts, asked.dimensions).items()]
        keep = asked.body.get("keepEmptyRows")
        rows = [r for r in rows if keep or not asked.metrics or any(r.metrics)]
        if having := asked.body.get("metricFilter"):
            at = {name: i for i, (name, _) in enumerate(asked.metrics)}
            rows = [r for r in rows if filters.fits(having, lambda n, r=r: r.metrics[at[n]])]  # type: ignore[misc]
        rows = [r for r in rows if r.users >= self.knobs.threshold]
        return self._ordered(rows, asked)

    def _grouped(self, facts: Sequence[Fact], names: Sequence[str]) -> dict[tuple[str, ...], list[Fact]]:
        of = [DIMENSIONS[name].of for name in names]
        groups: dict[tuple[str, ...], list[Fact]] = {}
        for fact in facts:
            groups.setdefault(tuple(get(fact, self.facts) for get in of), []).append(fact)
        if self.knobs.cardinality and len(groups) > self.knobs.cardinality:
            groups = self._folded(groups, names)
        return groups

    def _folded(self, groups: dict[tuple[str, ...], list[Fact]], names: Sequence[str]) -> dict[tuple[str, ...], list[Fact]]:
        """The rarest combinations become "(other)" in every dimension but the date."""
        order = sorted(groups, key=lambda key: (-len(groups[key]), key))
        kept: dict[tuple[str, ...], list[Fact]] = {key: groups[key] for key in order[: self.knobs.cardinality]}
        for key in order[self.knobs.cardinality :]:
            folded = tuple(value if name == "date" else OTHER for name, value in zip(names, key, strict=True))
            kept.setdefault(folded, []).extend(groups[key])
        return kept

    def _sampled(self, facts: list[Fact]) -> list[Fact]:
        if self.knobs.sampling >= 1:
            return facts
        return [f for f in facts if zlib.crc32(f.client.encode()) % 1000 < self.knobs.sampling * 1000]

    def _row(self, key: tuple[str, ...], mark: list[str], group: list[Fact], asked: Asked) -> Row:
        values = [m.of(group, self.facts) for _, m in asked.metrics]
        if self.knobs.sampling < 1:  # counts are blown up to the whole, shares are not
            values = [
                v if m.type == "TYPE_FLOAT" else round(v / self.knobs.sampling) for v, (_, m) in zip(values, asked.metrics, strict=True)
            ]
        return Row([*key, *mark], values, len({f.client for f in group}), len(group))

    def _ordered(self, rows: list[Row], asked: Asked) -> list[Row]:
        """As asked for; what is left open comes in another order every time."""
        self._turn += 1
        rows.sort(key=lambda r: zlib.crc32(f"{self._turn}/{r.dimensions}".encode()))
        names = self._headers(asked)
        for order in reversed(asked.body.get("orderBys", ())):
            down = bool(order.get("desc"))
            if "metric" in order:
                at = [n for n, _ in asked.metrics].index(order["metric"]["metricName"])
                rows.sort(key=lambda r: r.metrics[at], reverse=down)
            else:
                at = names.index(order["dimension"]["dimensionName"])
                how = order["dimension"].get("orderType", "ALPHANUMERIC")
                rows.sort(key=lambda r: _sortable(r.dimensions[at], how), reverse=down)
        return rows

    # -- the rest of the reply ----------------------------------------------------------------------------------------------
    def _metadata(self, asked: Asked) -> dict[str, Any]:
        found: dict[str, Any] = {"currencyCode": asked.body.get("currencyCode") or self.currency, "timeZone": str(self.facts.zone)}
        if self.knobs.threshold:
            found["subjectToThresholding"] = True
        if self.knobs.cardinality:
            found["dataLossFromOtherRow"] = True
        if self.knobs.sampling < 1:
            read = {"samplesReadCount": str(round(1_000_000 * self.knobs.sampling)), "samplingSpaceSize": "1000000"}
            found["samplingMetadatas"] = [read] * len(asked.ranges)
        return found

    def compatibility(self, body: Any) -> dict[str, Any]:
        """checkCompatibility: which of the fields go together."""
        known_only(body, ["property", "dimensions", "metrics", "dimensionFilter", "metricFilter", "compatibilityFilter"])
        names = [self._dimension(d) for d in body.get("dimensions", ())]
        asked = [m.get("name", "") for m in body.get("metrics", ())]
        for name in asked:
            self._metric(name)
        apart = {n for left, right in APART if left & set(names) and right & set(asked) for n in (left & set(names)) | (right & set(asked))}

        def of(name: str, kind: str) -> dict[str, Any]:
            return {f"{kind}Metadata": {"apiName": name}, "compatibility": "INCOMPATIBLE" if name in apart else "COMPATIBLE"}

        wanted = body.get("compatibilityFilter")
        found = {"dimensionCompatibilities": [of(n, "dimension") for n in names], "metricCompatibilities": [of(n, "metric") for n in asked]}
        return {k: [c for c in v if not wanted or c["compatibility"] == wanted] for k, v in found.items()}


def check_together(names: Sequence[str], asked: Sequence[str]) -> None:
    for left, right in APART:
        if (one := left & set(names)) and (other := right & set(asked)):
            fields = ", ".join(sorted(one | other))
            raise Refusal(
                400, f"Please remove {fields} to make the request compatible. The request's dimensions & metrics are incompatible."
            )


def _shown(row: Row, asked: Asked) -> dict[str, Any]:
    shown = [
        str(int(v)) if m.type == "TYPE_INTEGER" or v == int(v) else repr(v) for v, (_, m) in zip(row.metrics, asked.metrics, strict=True)
    ]
    found = {"dimensionValues": [{"value": v} for v in row.dimensions], "metricValues": [{"value": v} for v in shown]}
    return {name: value for name, value in found.items() if value}


def _total(rows: Sequence[Row], asked: Asked) -> dict[str, Any]:
    sums = [sum(row.metrics[i] for row in rows) for i in range(len(asked.metrics))]
    return _shown(Row(["RESERVED_TOTAL"] * len(asked.dimensions), sums, 0, 0), asked)


def _sortable(text: str, how: str) -> Any:
    if how == "NUMERIC":
        return (0, float(text)) if re.fullmatch(r"-?\d+(\.\d+)?", text) else (-1, 0.0)  # what is no number comes first
    return text.lower() if how == "CASE_INSENSITIVE_ALPHANUMERIC" else text


def _near(name: str) -> str:
    return next((new for new, d in DIMENSIONS.items() if name in d.deprecated or new.lower() == name.lower()), "")
