"""Results of experiments: one row per variation and metric, up to one frozen instant.

Three answers are no numbers: 202 (still computing: asked again at the end, then by the next run), 204 (no data yet), and a
stale cache (numbers of an earlier time, marked so, and asked for again). None of them is ever a zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import orjson

from connectors.optimizely_read import Reader, summaries
from connectors.optimizely_session import Row, Session, items_of, linked_pages
from core.connector import Ask, Page, State
from core.errors import VendorError

WINDOW_S = 300  # bounds are moved to whole five minutes. Source: REST API v2, get_experiment_results, read 2026-08-13
REREAD_DAYS = 30  # results of an ended experiment are read again this long: late events count if they are dated inside it
UNKNOWN = 2**63 - 1  # of visitors_remaining. Source: REST API v2, Datapoint, read 2026-08-13
LOOKS = 2  # at one experiment in one run
Flat = Callable[[Row], list[Row]]


def reading(kind: str) -> Reader:
    """kind: results or timeseries. The state names what is still to be asked for, and up to when."""
    flat: Flat = result_rows if kind == "results" else daily_rows

    def read(session: Session, ask: Ask) -> Iterator[Page]:
        state: State = {} if ask.full else dict(ask.state or {})
        until, through = state.get("until") or _aligned(ask.now), state.get("through")
        left: list[Row] = state["pending"] if "pending" in state else _due(session, through, state.get("stale", []), ask.extra_overlap_s)
        kept: State = {"v": 1, "until": until, "stale": state.get("stale", []) if "pending" in state else []}
        kept |= {"through": through} if through else {}
        for _ in range(LOOKS):
            computing: list[Row] = []
            for i, one in enumerate(left):
                answer = _answer(session, one, kind, until)
                if answer is None:
                    computing.append(one)
                    continue
                if answer.get("is_stale"):
                    kept = kept | {"stale": [*kept["stale"], one["id"]]}
                yield Page(orjson.dumps(flat(answer)), "", kept | {"pending": computing + left[i + 1 :]}, pass_name=kind)
            left = computing
        if left:
            reason = f"Optimizely is still computing {kind} of {len(left)} experiment{'s' if len(left) > 1 else ''}"
            yield Page(b"[]", "", kept | {"pending": left}, pass_name=kind, unfinished=reason)
            return
        yield Page(b"[]", "", {"v": 1, "through": until, "stale": kept["stale"]}, pass_name=kind)

    return read


def _aligned(now: datetime) -> str:
    """The last whole five minutes: what the vendor would round to, so that two windows neither overlap nor leave a hole."""
    seconds = int(now.timestamp()) // WINDOW_S * WINDOW_S
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _due(session: Session, through: str | None, stale: list[int], extra_s: float) -> list[Row]:
    """Experiments whose numbers may have moved: all that ever ran at first, later the running and the recently changed ones."""
    since = datetime.fromisoformat(through) - timedelta(days=REREAD_DAYS, seconds=extra_s) if through else None
    found = []
    for project in session.projects(flags=False):
        for row in summaries(session, project["id"]):
            running = row["status"] == "running"
            recent = since is None or row["id"] in stale or datetime.fromisoformat(row["last_modified"]) >= since
            if row["status"] not in ("not_started", "draft") and (running or recent):
                found.append({"id": row["id"], "path": f"/v2/experiments/{row['id']}", "running": running})
    for project in session.projects(flags=True):
        found += _reports(session, project["id"])
    return found


def _reports(session: Session, project: int) -> list[Row]:
    """Reports of flag rules name the experiment behind them; their results are those of REST v2."""

    def read() -> list[Row]:
        base = f"/projects/{project}"
        places = [quote(e["key"], safe="") for e in items_of(linked_pages(session, f"{base}/environments"))]
        return [row for place in places for row in items_of(linked_pages(session, f"{base}/environments/{place}/reports"))]

    rows = [row for row in session.once(f"reports {project}", read) if row.get("layer_experiment_id")]
    return [
        {"id": row["layer_experiment_id"], "path": f"/v2/experiments/{row['layer_experiment_id']}", "running": not row.get("end_time")}
        for row in rows
    ]


def _answer(session: Session, one: Row, kind: str, until: str) -> Row | None:
    """The body; {} when there is no data yet; None while it is computed. An ended experiment keeps its own end.

    Raises: VendorError when a 200 has no numbers.
    """
    asked = {"end_time": until} if one["running"] else {}
    reply = session.get(f"{one['path']}/{kind}", 404, **asked)
    if reply.status == 202:
        return None
    if reply.status in (204, 404):  # a deleted experiment has no results either
        return {}
    body = orjson.loads(reply.data)
    if not isinstance(body, dict) or "metrics" not in body:
        raise VendorError(f"Optimizely sent {kind} of experiment {one['id']} without metrics", next_step="run again")
    return body


# -- rows ---------------------------------------------------------------------------------------------------------------
def result_rows(body: Row) -> list[Row]:
    """One row per variation and metric, and one per variation for its visitors (`what` says which)."""
    if not body:
        return []
    named = ("experiment_id", "start_time", "end_time", "is_stale", "confidence_threshold")
    head = {name: body.get(name) for name in named}
    reach = (body.get("reach") or {}).get("variations") or {}
    came = head | {"what": "visitors", "metric_key": "visitors"}
    rows = [{**came, "variation_id": key, "variation": v.get("name"), "value": v["count"]} for key, v in reach.items()]
    for metric, described in _metrics(body):
        winner = (metric.get("conclusion") or {}).get("winner")
        for key, variant in metric["results"].items():
            rows.append(head | described | _variant_row(key, variant) | {"won": str(winner) == key if winner else None})
    return rows


def _metrics(body: Row) -> Iterator[tuple[Row, Row]]:
    """Each metric and what it is. The first is the primary one, so the order is kept; a metric is known by what it measures."""
    seen: dict[str, int] = {}
    for place, metric in enumerate(body["metrics"]):
        parts = [metric.get("event_id") or "all", metric.get("aggregator"), metric.get("field") or "", metric.get("scope") or ""]
        key = ".".join(map(str, filter(None, parts)))
        seen[key] = seen.get(key, 0) + 1
        described = {name: metric.get(name) for name in ("event_id", "aggregator", "field", "scope", "winning_direction")}
        described |= {"metric_key": key if seen[key] == 1 else f"{key}.{seen[key]}", "metric": metric.get("name")}
        yield metric, described | {"primary": place == 0, "position": place + 1, "what": _what(metric)}


def _what(metric: Row) -> str:
    """What the value counts. Revenue is in hundredths of a unit, whatever the currency."""
    if metric.get("aggregator") == "sum":
        return "revenue" if metric.get("field") == "revenue" else "sum"
    return "conversions"


def _variant_row(key: str, variant: Row) -> Row:
    lift: dict[str, Any] = variant.get("lift") or {}
    low, high = lift.get("confidence_interval") or (None, None)
    row = {"variation_id": key, "variation": variant.get("name")}
    row |= {name: variant.get(name) for name in ("is_baseline", "level", "value", "samples", "rate", "variance")}
    row |= {"lift": lift.get("value"), "lift_low": low, "lift_high": high}
    row |= {name: lift.get(name) for name in ("significance", "is_significant", "lift_status")}
    return row | {"visitors_remaining": integer(lift.get("visitors_remaining"))}


def integer(value: Any) -> int | None:
    """The number, unless it is the vendor's "unknown"."""
    return None if value is None or value == UNKNOWN else int(value)


def daily_rows(body: Row) -> list[Row]:
    """One row per variation, metric and day: the day's last point. Points seem to count from the start (unconfirmed)."""
    rows: dict[tuple[str, str, str], Row] = {}
    for metric, described in _metrics(body) if body else ():
        for key, variant in metric["results"].items():
            for point in variant.get("timeseries") or ():
                day = point["time"][:10]
                row = {"experiment_id": body["experiment_id"], "is_stale": body.get("is_stale"), "variation_id": key, "day": day}
                row |= {"variation": variant.get("name")} | {name: point.get(name) for name in ("time", "value", "samples", "rate")}
                rows[key, described["metric_key"], day] = row | described
    return list(rows.values())
