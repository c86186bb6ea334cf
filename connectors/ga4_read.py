"""Reading reports: which fields exist, pages in a fixed order, rows turned into named values, flags kept beside them.

A report's rows are lists by position; what is handed on has names instead, so that a mapping can be read by people:
{"key", "day", "dimensions" (JSON text), "values": [{"measure", "value", "additive"}]}.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any, Literal
from zoneinfo import ZoneInfo

import orjson
from pydantic import Field

from connectors.ga4_days import Lookback, Period, Span, period_start, span, windows, yesterday
from connectors.ga4_rows import decoded
from connectors.ga4_session import Session
from core.checked import Written
from core.connector import Ask, Page, State
from core.errors import VendorError

LIMIT = 10_000  # rows a request, as many as come unasked; five such replies in one are decoded at once. 250,000 is the most
BATCH = 5  # reports in one request
PART = 1_000  # rows handed on at once: each becomes a record for every metric
PERIODS: Mapping[Period, str] = {"day": "date", "week": "isoYearIsoWeek", "month": "yearMonth"}
QUOTA = {"returnPropertyQuota": True}
ONE_NUMBER = {"metrics": [{"name": "sessions"}], "dateRanges": [{"startDate": "yesterday", "endDate": "yesterday"}], **QUOTA}
# Users are counted once per row, so rows must not be added up; shares and averages neither.
_UNIQUE = re.compile(r"Users$|Rate$|^average|PerUser$|PerSession$|^dauPer|^wauPer")


class Report(Written):
    """A report of the Data API, read day by day (or by week or month) into tallies."""

    dimensions: list[str] = Field(default_factory=list, max_length=8)
    """API names of dimensions, such as sessionDefaultChannelGroup; the day is one anyway."""
    metrics: list[str] = Field(min_length=1, max_length=10)
    """API names of metrics, such as sessions."""
    unique: list[str] = Field(default_factory=list)
    """Metrics that must not be added up over rows or days. Users (other than new ones), rates and averages are known to be so."""
    by: Literal["day", "week", "month"] = "day"
    """Users of a week are not the sum of its days: ask for the week itself. Weeks begin on Monday; only whole periods are read."""
    where: dict[str, str | list[str]] = Field(default_factory=dict)
    """Only rows with this value (or one of these) in the dimension."""
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$")
    """Money in this currency (default: the property's own)."""
    lookback_days: int = Field(default=5, ge=1, le=60)
    """So many whole days are read again at every run, because Analytics restates them."""
    weekly_days: int = Field(default=30, ge=1, le=400)
    """So many once a week."""
    history_days: int = Field(default=400, ge=1, le=3700)
    """How far back the first read goes."""
    window_days: int = Field(default=31, ge=1, le=400)
    """Days in one request. Fewer make sampling rarer."""


def additive(report: Report, metric: str) -> bool:
    return metric == "newUsers" or (metric not in report.unique and not _UNIQUE.search(metric))


# -- the read -----------------------------------------------------------------------------------------------------------------
def read_report(session: Session, ask: Ask) -> Iterator[Page]:
    """Window by window; the state moves on when a window is complete, so a window is never half old and half new."""
    report: Report = ask.reads
    state = None if ask.full else ask.state
    names = state["names"] if state else checked(session, ask.resource, report)
    todo = to_read(session, ask, state, Lookback(report.lookback_days, report.weekly_days, report.history_days))
    pieces = list(windows(todo.first, todo.last, report.window_days, report.by))
    for at in range(0, len(pieces), BATCH):
        group = pieces[at : at + BATCH]
        try:
            replies = _first_pages(session, report, names, group)
        except VendorError as refusal:
            if refusal.status != 400 or not state:
                raise
            names = checked(session, ask.resource, report)  # a name was retired since: say which, or use the new one
            replies = _first_pages(session, report, names, group)
        for i, window in enumerate(group, at):
            states = states_of(state, todo, pieces, i, {"names": names, "zone": session.zone})
            yield from _pages(session, report, names, window, replies.pop(0), states, pass_name(window, todo, i, ask))


def to_read(session: Session, ask: Ask, state: State | None, back: Lookback) -> Span:
    """The days of this run. Days of another time zone are other days: the weekly look back comes at once.

    What the user wants read again besides counts in whole days, and never goes back further than the first read.
    """
    last = yesterday(ask.now, zone(session))
    since = ask.since.astimezone(ZoneInfo(session.zone)).date() if ask.since and state is None else None
    moved = state and state.get("zone") != session.zone
    extra = math.ceil(ask.extra_overlap_s / 86_400)
    back = replace(back, nightly=min(max(back.nightly, back.history), back.nightly + extra))
    return span({**state, "deep": None} if state and moved else state, last, back, since)


def zone(session: Session) -> str:
    """The property's time zone, which says what a day is; from a report of one number when nothing has told it yet."""
    if not session.zone:
        session.ask(
            "runReport", {"metrics": [{"name": "sessions"}], "dateRanges": [{"startDate": "yesterday", "endDate": "yesterday"}], **QUOTA}
        )
    if not session.zone:
        raise VendorError("Google Analytics did not say the property's time zone", where=session.transport.account)
    return session.zone


def pass_name(window: tuple[date, date], todo: Span, i: int, ask: Ask) -> str:
    name = f"{window[0]}/{window[1]}"
    return f"{name} (again {ask.now:%Y-%m-%d %H:%M})" if todo.resumes and i == 0 else name  # a broken run's rows do not count twice


def states_of(state: State | None, todo: Span, pieces: Sequence[tuple[date, date]], i: int, also: Mapping[str, Any]) -> tuple[State, State]:
    """Where a read goes on that ends inside the i-th window, and after it."""
    before = {k: (state or {})[k] for k in ("through", "deep") if (state or {}).get(k)}
    inside: State = {"v": 1, **before, **also, "next": pieces[i][0].isoformat()}
    if i + 1 < len(pieces):
        return inside, inside | {"next": pieces[i + 1][0].isoformat()}
    deep = todo.last.isoformat() if todo.deep else (state or {}).get("deep")
    return inside, {"v": 1, **also, "through": todo.last.isoformat(), "deep": deep}


def _first_pages(session: Session, report: Report, names: Mapping[str, str], group: Sequence[tuple[date, date]]) -> list[dict[str, Any]]:
    bodies = [request(report, names, window) for window in group]
    if len(bodies) == 1:
        return [session.ask("runReport", bodies[0], read=_decoder(report))]
    return list(session.ask("batchRunReports", {"requests": bodies}, read=_decoder(report))["reports"])


def _decoder(report: Report) -> Callable[[bytes], dict[str, Any]]:
    return partial(decoded, dimensions=1 + len(report.dimensions), metrics=len(report.metrics))


def _pages(
    session: Session, report: Report, names: Mapping[str, str], window: tuple[date, date], reply: dict[str, Any],
    states: tuple[State, State], pass_name: str,
) -> Iterator[Page]:  # fmt: skip
    offset = 0
    while True:
        rows, total, about = reply.pop("rows", []), int(reply.get("rowCount", 0)), flags(reply.get("metadata") or {})
        about["period"] = report.by
        more = True
        while more:
            part, rows = rows[:PART], rows[PART:]  # what was handed on goes
            offset, more = offset + len(part), bool(rows)
            done = offset >= total or not part
            body = orjson.dumps({"rows": _named(part, report, window[1])})
            yield Page(body, "rows", states[1] if done else states[0], total=total, pass_name=pass_name, context=about, covers=window)
        if done:
            return
        reply = session.ask("runReport", request(report, names, window, offset), read=_decoder(report))


def request(report: Report, names: Mapping[str, str], window: tuple[date, date], offset: int = 0) -> dict[str, Any]:
    """One report over one date range, in an order in which no two rows are alike: without it pages overlap and leave gaps."""
    dimensions = [PERIODS[report.by], *(names.get(n, n) for n in report.dimensions)]
    filters = [_is(names.get(n, n), values) for n, values in report.where.items()]
    return {
        "dimensions": [{"name": name} for name in dimensions],
        "metrics": [{"name": names.get(name, name)} for name in report.metrics],
        "dateRanges": [{"startDate": window[0].isoformat(), "endDate": window[1].isoformat()}],
        "orderBys": [
            {"dimension": {"dimensionName": name, "orderType": "ALPHANUMERIC" if i else "NUMERIC"}} for i, name in enumerate(dimensions)
        ],
        "limit": str(LIMIT),
        "offset": str(offset),
        **QUOTA,
        **({"currencyCode": report.currency} if report.currency else {}),
        **({"dimensionFilter": filters[0] if len(filters) == 1 else {"andGroup": {"expressions": filters}}} if filters else {}),
    }  # fmt: skip


def _is(name: str, values: str | list[str]) -> dict[str, Any]:
    wanted = [values] if isinstance(values, str) else values
    return {"filter": {"fieldName": name, "inListFilter": {"values": wanted, "caseSensitive": True}}}


def _named(rows: Sequence[Mapping[str, str]], report: Report, last: date) -> list[dict[str, Any]]:
    """Rows by names. When the vendor folded the date into "(other)", the row counts for the window's last day and says so."""
    measures = [(metric, additive(report, metric)) for metric in report.metrics]
    days: dict[str, str] = {}  # as the vendor writes them → as we do
    named = []
    for row in rows:
        first, *texts = row.values()
        about = dict(zip(report.dimensions, texts, strict=False))
        numbers = texts[len(report.dimensions) :]
        if first not in days:
            day = period_start(first, report.by)
            days[first] = day.isoformat() if day else ""
        if not days[first]:
            about[PERIODS[report.by]] = first
        start = days[first] or last.isoformat()
        dimensions = orjson.dumps(about, option=orjson.OPT_SORT_KEYS).decode()
        values = [{"measure": m, "value": n, "additive": adds} for (m, adds), n in zip(measures, numbers, strict=True)]
        named.append({"key": f"{start} {dimensions}", "day": start, "dimensions": dimensions, "values": values})
    return named


def flags(metadata: Mapping[str, Any]) -> dict[str, str]:
    """What the vendor says spoils these numbers; kept apart, because they mean different things."""
    sampled = metadata.get("samplingMetadatas") or []
    return {
        "sampled": _word(bool(sampled)),
        "sample": "; ".join(f"{s.get('samplesReadCount', '0')} of {s.get('samplingSpaceSize', '0')}" for s in sampled),
        "thresholded": _word(metadata.get("subjectToThresholding")),
        "other_row": _word(metadata.get("dataLossFromOtherRow")),
        "timezone": str(metadata.get("timeZone") or ""),
        "currency": str(metadata.get("currencyCode") or ""),
    }


def _word(value: Any) -> str:
    return "true" if value else "false"


# -- which fields there are ------------------------------------------------------------------------------------------------------
def checked(session: Session, name: str, report: Report) -> dict[str, str]:
    """Names that have been renamed → what they are called now. Asks the property itself: lists of fields grow old.

    Raises: VendorError for a field the property does not have, and for fields that do not go together.
    """
    metadata, renamed = session.metadata(), {}
    for kind, asked in (("dimension", [*report.dimensions, *report.where]), ("metric", report.metrics)):
        live = {field["apiName"]: field for field in metadata.get(f"{kind}s", ())}
        aliases = {old: new for new, field in live.items() for old in field.get("deprecatedApiNames", ())}
        for field in asked:
            if field in live:
                continue
            if field not in aliases:
                raise _unknown(session, name, kind, field, live)
            renamed[field] = aliases[field]
    _check_together(session, name, report, renamed)
    return renamed


def _unknown(session: Session, name: str, kind: str, field: str, live: Mapping[str, Any]) -> VendorError:
    near = difflib.get_close_matches(field, live, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return VendorError(
        f"report '{name}': the property has no {kind} {field!r}{hint}",
        where=session.transport.account,
        next_step="correct `reads` in the mapping; `tundish discover` lists the property's fields",
        code="UNKNOWN_FIELD",
    )


def _check_together(session: Session, name: str, report: Report, names: Mapping[str, str]) -> None:
    asked = request(report, names, (date(2020, 1, 1), date(2020, 1, 1)))
    body = {k: asked[k] for k in ("dimensions", "metrics", "dimensionFilter") if k in asked}
    found = session.ask("checkCompatibility", body | {"compatibilityFilter": "INCOMPATIBLE"})
    apart = [
        (one.get("dimensionMetadata") or one.get("metricMetadata") or {}).get("apiName", "?")
        for one in [*found.get("dimensionCompatibilities", ()), *found.get("metricCompatibilities", ())]
        if one.get("compatibility", "INCOMPATIBLE") == "INCOMPATIBLE"
    ]
    if apart:
        raise VendorError(
            f"report '{name}': {', '.join(apart)} do not go together in one report",
            where=session.transport.account,
            next_step="take one of them out of `reads`, or make two reports of it",
            code="INCOMPATIBLE",
        )
