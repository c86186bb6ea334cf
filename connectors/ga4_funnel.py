"""Funnels of the vendor's own counting (v1alpha, which may change): users per step of each whole week or month, as tallies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Literal

import orjson
from pydantic import Field

from connectors.ga4_days import Lookback, windows
from connectors.ga4_read import QUOTA, flags, pass_name, states_of, to_read
from connectors.ga4_session import Session
from core.checked import Written
from core.connector import Ask, Page


class Funnel(Written):
    """Users who went step by step through events, counted by Analytics."""

    steps: dict[str, str] = Field(min_length=1, max_length=10)
    """Name of the step: name of the event, in order."""
    open: bool = False
    """May a user come in at a later step?"""
    by: Literal["day", "week", "month"] = "week"
    """Of what period the users are. Only whole periods are read."""
    lookback_days: int = Field(default=7, ge=1, le=60)
    """The periods of so many days are read again at every run."""
    history_days: int = Field(default=70, ge=1, le=400)
    """How far back the first read goes; each period is a request."""


def read_funnel(session: Session, ask: Ask) -> Iterator[Page]:
    funnel: Funnel = ask.reads
    state = None if ask.full else ask.state
    todo = to_read(session, ask, state, Lookback(funnel.lookback_days, funnel.lookback_days, funnel.history_days))
    pieces = list(windows(todo.first, todo.last, 1, funnel.by))
    for i, window in enumerate(pieces):
        reply = session.ask("runFunnelReport", request(funnel, window), "v1alpha")
        table = reply.get("funnelTable") or {}
        names = [header["name"] for header in table.get("metricHeaders", ())]
        rows = [_named(row, names, window) for row in table.get("rows", ())]
        _, after = states_of(state, todo, pieces, i, {"zone": session.zone})
        about = flags(table.get("metadata") or {}) | {"timezone": session.zone, "period": funnel.by}
        body = orjson.dumps({"rows": rows})
        yield Page(body, "rows", after, total=len(rows), pass_name=pass_name(window, todo, i, ask), context=about, covers=window)


def request(funnel: Funnel, window: tuple[date, date]) -> dict[str, Any]:
    steps = [{"name": name, "filterExpression": {"funnelEventFilter": {"eventName": event}}} for name, event in funnel.steps.items()]
    return {
        "dateRanges": [{"startDate": window[0].isoformat(), "endDate": window[1].isoformat()}],
        "funnel": {"isOpenFunnel": funnel.open, "steps": steps},
        **QUOTA,
    }


def _named(row: Mapping[str, Any], names: list[str], window: tuple[date, date]) -> dict[str, Any]:
    """Which numbers there are, only the reply's headers say. The vendor puts "1. " before the step's name."""
    step = row["dimensionValues"][0]["value"]
    dimensions = orjson.dumps({"step": step}).decode()
    numbers = [v.get("value", "") for v in row.get("metricValues", ())]
    values = [{"measure": n, "value": v, "additive": n == "funnelStepAbandonments"} for n, v in zip(names, numbers, strict=True)]
    return {"key": f"{window[0]} {dimensions}", "day": window[0].isoformat(), "dimensions": dimensions, "values": values}
