"""The rows behind an answer: an entity's records, the evidence that joined them, its milestones and findings; a metric's rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import core.measure
from core.entity_history import MERGED, SPLIT
from core.errors import UserError
from core.pipeline import Understanding
from core.thresholds import threshold
from core.yaml_positions import did_you_mean
from jobs import show
from jobs.explain_path import because
from jobs.pages import pages
from jobs.reporting import opened
from jobs.show_metrics import dimensions
from jobs.timeline import Moment, Reached, dated, milestones, timeline
from jobs.wiring import Hub


def explain_entity(hub: Hub, found: Understanding, what: str, limit: int = 50) -> tuple[dict[str, Any], str]:
    """(data, text) for an entity id, or for the entity of a record written account:resource:id. Text: `limit` lines of its way."""
    members = found.members.to_pylist()
    entity_id = found.past.now(what)
    if ":" in what:
        account, resource, vendor_id = what.split(":", 2)
        entity_id = next(
            (m["entity_id"] for m in members if (m["account"], m["resource"], m["vendor_id"]) == (account, resource, vendor_id)), ""
        )
    at = pages(hub)
    mine = [{**m, "page": at.of(m["account"], m["resource"], m["vendor_id"])} for m in members if m["entity_id"] == entity_id]
    if not mine:
        raise UserError(
            f"nothing is known of {what!r}", next_step="`tundish reconcile` lists entities with findings; records are account:resource:id"
        )
    kind = mine[0]["kind"]
    keys = {f"{m['account']}:{m['resource']}:{m['vendor_id']}" for m in mine}
    links = [
        r for r in hub.lake.engine.to_pyarrow(hub.lake.latest_run("link")).to_pylist() if r["left_key"] in keys and r["right_key"] in keys
    ]
    facts = _rows(found, kind, entity_id)
    findings = [opened(r) for r in found.open_findings() if r["entity_id"] == entity_id]
    names = {rung.code: rung.name for rung in hub.setup.funnel.ladder}
    past = _past(found, entity_id)
    way = timeline(found, hub.ledger, kind, entity_id, names, threshold(hub.setup.funnel, "sales_touches"))
    reached = milestones(found, kind, entity_id, way)
    data = {
        "entity_id": entity_id, "asked": what, "kind": kind, "history": past,
        "records": mine, "evidence": links, "facts": facts, "findings": findings,
        "milestones": [{**one.to_json(), "name": names.get(one.code, one.code)} for one in reached],
        "timeline": [moment.to_json() for moment in way],
    }  # fmt: skip
    parts = [
        *([f"{what} is {entity_id} now"] if what != entity_id and ":" not in what else []),
        f"{kind} {entity_id}: {len(mine)} records",
        _records_text(mine),
    ]
    if past:
        parts += ["history", show.table_text(["time (UTC)", "what"], [[f"{r['changed_at']:%Y-%m-%d %H:%M}", r["what"]] for r in past])]
    if links:
        parts += [
            "joined because",
            show.table_text(["record", "record", "evidence"], [[r["left_key"], r["right_key"], because(r)] for r in links]),
        ]
    if facts:
        parts += [
            "facts",
            show.table_text(["fact", "value"], [[k, str(v)] for k, v in facts.items() if v is not None and k not in _PRIVATE]),
        ]
    if reached:
        parts += ["milestones", _milestones_text(reached, names)]
    if way:
        parts += ["the way so far", _way_text(way, limit)]
    if findings:
        parts += ["findings", show.findings_text(findings, 20)]
    return data, "\n".join(parts)


def _records_text(mine: Sequence[Mapping[str, Any]]) -> str:
    """With the addresses of their pages, where any is known."""
    columns = ["account", "resource", "id", "live", *(["page"] if any(m["page"] for m in mine) else [])]
    rows = [[m["account"], m["resource"], m["vendor_id"], "yes" if m["live"] else "no", m["page"]] for m in mine]
    return show.table_text(columns, [row[: len(columns)] for row in rows])


def _past(found: Understanding, entity_id: str) -> list[dict[str, Any]]:
    """What became of the entity, and of others that are it now, oldest first, with `what` in words."""
    before = {entity_id: found.as_of, **found.past.before(entity_id)}
    rows = {id(row): row for name, until in before.items() for row in found.past.about(name) if row["changed_at"] <= until}
    return [{**row, "what": _became(row)} for row in sorted(rows.values(), key=lambda row: row["changed_at"])]


def _became(row: Mapping[str, Any]) -> str:
    it, other, n = row["entity_id"], row["other_id"], row["records"]
    records = "1 record" if n == 1 else f"{n} records"
    if row["change"] == MERGED:
        return f"{it} was until then; merged into {other} ({records})"
    return f"{it} came out of {other} ({records})" if row["change"] == SPLIT else f"{it} got {records} of {other}"


def _milestones_text(reached: Sequence[Reached], names: Mapping[str, str]) -> str:
    """Each with what dates it; `evidence` says why there is no date."""
    columns = ["milestone", "reached (UTC)", "evidence", "record"]
    return show.table_text(columns, [[f"{one.code} {names.get(one.code, '')}".strip(), *dated(one.to_json())] for one in reached])


def _way_text(way: Sequence[Moment], limit: int) -> str:
    """The beginning and the end of a long way, and how much lies between."""
    half = max(1, limit // 2)
    shown = list(way) if len(way) <= limit else [*way[:half], *way[-half:]]
    rows = [[f"{m.at:%Y-%m-%d %H:%M}", m.account, m.what, m.record] for m in shown]
    if len(shown) < len(way):
        rows.insert(half, ["…", "", f"{len(way) - len(shown)} more; show all with --max {len(way)}", ""])
    return show.table_text(["time (UTC)", "account", "what", "record"], rows)


_PRIVATE = frozenset({"email", "phone", "first_name", "last_name"})


def _rows(found: Understanding, kind: str, entity_id: str) -> dict[str, Any]:
    table = found.facts.get(kind)
    if table is None:
        return {}
    rows: list[dict[str, Any]] = table.filter(table.entity_id == entity_id).to_pyarrow().to_pylist()
    return rows[0] if rows else {}


def explain_metric(
    found: Understanding,
    measured: Sequence[Mapping[str, Any]],
    name: str,
    dims: Mapping[str, str],
    limit: int,
    funnel: Any,
    only: Mapping[str, str] | None = None,
) -> tuple[dict[str, Any], str]:
    """(data, text): the definition, the numbers the dimensions leave, and the record keys behind the one of them, where it can list them.

    Raises: UserError for a metric or dimensions that no number has.
    """
    metrics = [m for m in measured if m["name"] == name]
    if not metrics:
        names = sorted({m["name"] for m in measured})
        step = "a finding's id has 8 characters or more, a record is account:resource:id; metrics: " + ", ".join(names)
        raise UserError(f"no metric {name!r}{did_you_mean(name, names)}", next_step=step)
    mine = [m for m in metrics if dims.items() <= dimensions(m).items()]
    if not mine:
        raise UserError(f"no number of {name} has {_dims(dims)}", next_step=_choices(metrics))
    one = json.loads(mine[0]["dimensions"]) if len(mine) == 1 else None
    rows = _behind(found, name, dims if one is None else one, funnel, only, whole=one is not None)
    shown = (rows or [])[:limit]
    text = [f"{name}: {mine[0]['definition']}", show.metrics_text(mine)]
    if shown:
        text += [f"{len(rows or [])} rows behind it", show.table_text(list(shown[0]), [[str(v) for v in r.values()] for r in shown])]
    elif rows is None:
        text.append(f"for the rows behind one of these {len(mine)} numbers: {_choices(mine)}")
    return {"metric": name, "values": mine, "rows": rows or []}, "\n".join(text)


def _dims(dims: Mapping[str, str]) -> str:
    return " ".join(f"--dim {name}={value}" for name, value in dims.items())


def _choices(metrics: Sequence[Mapping[str, Any]]) -> str:
    """The dimensions that tell the numbers apart, each with some of its values."""
    values: dict[str, dict[str, None]] = {}
    for metric in metrics:
        for name, value in dimensions(metric).items():
            values.setdefault(name, {})[value] = None
    said = [f"--dim {name}={'|'.join(list(some)[:4])}{'|…' if len(some) > 4 else ''}" for name, some in values.items() if len(some) > 1]
    return " ".join(said) or "leave the dimensions out"


def _behind(
    found: Understanding, name: str, dims: Mapping[str, Any], funnel: Any, only: Mapping[str, str] | None, *, whole: bool
) -> list[dict[str, Any]] | None:
    """The record keys behind a number; empty where the family cannot list them, None where the dimensions do not say which number.

    whole: they are all of one number's.
    """
    try:
        table = core.measure.rows(found.facts, funnel, found.as_of, name, dims, only)
    except UserError:
        return []
    except KeyError:
        if whole:
            raise
        return None
    result: list[dict[str, Any]] = table.to_pyarrow().to_pylist()
    return result
