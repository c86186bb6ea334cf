"""Where the systems disagree: every rule's query over the facts, made into findings that keep their identity through time.

It must not decide what is written (plan does) nor know where findings are stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from typing import Any

import ibis
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from core.compiled import Compiled, over
from core.compiled import as_of as moment
from core.doubts import CUTS
from core.finding_heirs import called, finding_id, named_before, renamed
from core.ledger_echo import FOUGHT, THAWED
from core.ledger_facts import SCHEMAS
from core.merged import MERGED
from core.model import KINDS
from core.rules import RULES, Context, Rule
from core.rules.rule import OF_THE_FUNNEL, SIDES
from core.stage_map import STAGE_MAP
from core.thresholds import enabled, scope, severity
from core.written_fields import WRITTEN

_MOMENT = pa.timestamp("us", "UTC")
FINDINGS = pa.schema(
    [
        ("finding_id", pa.string()),
        ("rule", pa.string()),
        ("severity", pa.string()),
        ("title", pa.string()),
        ("entity_kind", pa.string()),
        ("entity_id", pa.string()),
        ("systems", pa.list_(pa.string())),
        ("records", pa.string()),
        ("field", pa.string()),
        ("values", pa.string()),
        ("since", _MOMENT),
        ("first_seen", _MOMENT),
        ("last_seen", _MOMENT),
        ("status", pa.string()),
        ("fix", pa.string()),
        ("question", pa.string()),
        ("evidence", pa.string()),
    ]
)
_SAID = {  # facts that stand in no lake
    **SCHEMAS, "stage_map": STAGE_MAP, "written": WRITTEN, "cut": CUTS, "merged": MERGED, "fought": FOUGHT, "thawed": THAWED,
}  # fmt: skip
_SIDES = ibis.schema(SIDES).to_pyarrow()
_IDENTITY = ["entity_kind", "entity_id", "field", "part"]
_ORDER = (*_IDENTITY, "account", "resource", "vendor_id")
_STICKY = ("accepted", "muted")  # what a person decided about a finding stays


def reconcile(
    tables: Mapping[str, ibis.Table],
    members: pa.Table | ibis.Table,
    facts: Mapping[str, ibis.Table],
    funnel: Any,
    as_of: datetime,
    previous_findings: pa.Table | None = None,
    rules: Iterable[str] | None = None,
    compiled: Compiled | None = None,
) -> pa.Table:
    """All findings as of an instant, most severe first (columns: FINDINGS). Facts of the ledger, the mappings and resolve may be missing.

    A finding seen before keeps first_seen and what a person decided about it; one that is gone comes back once more as
    `fixed`. JSON columns: records [[account, resource, id]…], values {account: value}, fix {account, resource, vendor_id,
    field, value, policy, before?, pipeline?} or null, evidence {why, notes, …}. `compiled` keeps the rules' queries.
    """
    del members  # the facts stand on them already
    c = compiled or over(tables, funnel, facts)
    ctx = Context({kind: c.tables[f"record.{kind}"] for kind in KINDS}, complete(facts, c), funnel, as_of, clock=moment())
    ids = list(RULES) if rules is None else list(rules)
    found = [row for rule_id in ids if enabled(funnel, rule_id) for row in findings_of(RULES[rule_id], ctx, c)]
    old = {row["finding_id"]: row for row in previous_findings.to_pylist()} if previous_findings is not None else {}
    same = renamed(found, old)
    current = [_aged(row, same.get(row["finding_id"]) or old.get(row["finding_id"]), as_of) for row in found]
    gone = _fixed(old, {row["finding_id"] for row in (*current, *same.values())}, ids)
    rows = sorted(current + gone, key=lambda r: (r["severity"], r["rule"], r["entity_id"], r["field"], r["finding_id"]))
    return pa.Table.from_pylist(rows, schema=FINDINGS)


def complete(facts: Mapping[str, ibis.Table], compiled: Compiled) -> dict[str, ibis.Table]:
    """The same facts, and empty ones of the ledger, the mappings and resolve where these are not given."""
    unsaid = {name: schema for name, schema in _SAID.items() if name not in facts}
    return {**facts, **{name: compiled.give(f"fact.{name}", schema.empty_table()) for name, schema in unsaid.items()}}


def findings_of(rule: Rule, ctx: Context, compiled: Compiled) -> list[dict[str, Any]]:
    """The findings of one rule, without their history."""

    def query() -> ibis.Table:
        return scoped(rule, ctx).order_by(*_ORDER)

    sides = compiled.rows(f"rule.{rule.id}", query, _SIDES, ctx.as_of).to_pylist()
    groups = groupby(sides, key=lambda s: (s["entity_kind"], s["entity_id"], s["field"], s["part"]))
    return [_finding(rule, ctx, key, list(group)) for key, group in groups]


def scoped(rule: Rule, ctx: Context) -> ibis.Table:
    """What the rule finds where the funnel lets it look: a finding stays whole when one of its records lies there."""
    found = rule.detect(ctx).distinct()
    where = scope(ctx.funnel, rule.id)
    if not where:
        return found
    inside = found
    if "accounts" in where:
        inside = inside.filter(inside.account.isin(where["accounts"]))
    if "pipelines" in where:
        deals = ctx.facts["deals"]
        there = deals.filter(deals.pipeline_id.isin(where["pipelines"])).select("account", "resource", "vendor_id")
        inside = inside.semi_join(there, ["account", "resource", "vendor_id"])
    return found.semi_join(inside.select(*_IDENTITY).distinct(), _IDENTITY)


def _finding(rule: Rule, ctx: Context, key: tuple[str, str, str, str], sides: list[dict[str, Any]]) -> dict[str, Any]:
    kind, entity_id, field, part = key
    fix = next((_fix(rule, ctx, s) for s in sides if s["fix_value"] is not None), None)
    notes = list(dict.fromkeys(s["note"] for s in sides if s["note"]))
    evidence = {"why": rule.why, "notes": notes, "part": part, "at": {_name(s, sides): s["at"] for s in sides}}
    times = [s["at"] for s in sides if s["at"] is not None]
    return {
        "finding_id": finding_id(rule.id, entity_id, field, part), "rule": rule.id, "title": rule.title,
        "severity": severity(ctx.funnel, rule.id, min((s["severity"] for s in sides if s["severity"]), default=rule.severity)),
        "entity_kind": kind, "entity_id": entity_id, "field": field,
        "systems": list(dict.fromkeys(s["account"] for s in sides)),
        "records": _json(_distinct([s["account"], s["resource"], s["vendor_id"]] for s in sides)),
        "values": _json({_name(s, sides): s["value"] for s in sides}),
        "since": max(times, default=None),
        "fix": _json(fix) if fix else None,
        "question": None if fix else rule.question or None,
        "evidence": _json(evidence),
    }  # fmt: skip


def _fix(rule: Rule, ctx: Context, side: Mapping[str, Any]) -> dict[str, Any]:
    policy = ctx.policy(rule.fix_field)[0] or "source_of_truth" if rule.policy == OF_THE_FUNNEL else rule.policy
    fix = {
        "account": side["account"], "resource": side["resource"], "vendor_id": side["vendor_id"], "field": rule.fix_field,
        "value": side["fix_value"], "policy": policy,
    }  # fmt: skip
    optional = {"before": side["fix_before"], "pipeline": side["fix_pipeline"]}
    return {**fix, **{name: value for name, value in optional.items() if value is not None}}


def _name(side: Mapping[str, Any], sides: list[dict[str, Any]]) -> str:
    """The account; with object and id where several records of one account take part."""
    alone = sum(s["account"] == side["account"] for s in sides) == 1
    return str(side["account"]) if alone else f"{side['account']}:{side['resource']}:{side['vendor_id']}"


def _distinct(keys: Iterable[list[str]]) -> list[list[str]]:
    return [list(key) for key in dict.fromkeys(tuple(key) for key in keys)]


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z | orjson.OPT_SORT_KEYS).decode()


def _aged(row: dict[str, Any], before: dict[str, Any] | None, as_of: datetime) -> dict[str, Any]:
    if before is None or before["status"] == "fixed":
        return {**row, "first_seen": as_of, "last_seen": as_of, "status": "open"}
    row = named_before(row, called(before))
    return {**row, "first_seen": before["first_seen"], "last_seen": as_of, "status": _status(str(before["status"]), as_of)}


def _status(before: str, as_of: datetime) -> str:
    """`accepted` stays; `muted_until:2026-07-01` stays until that day; all else is open."""
    word, _, until = before.partition(":")
    if word == "muted_until":
        return before if as_of < datetime.fromisoformat(until).replace(tzinfo=UTC) else "open"
    return before if word in _STICKY else "open"


def _fixed(old: Mapping[str, Mapping[str, Any]], current: set[str], rules: list[str]) -> list[dict[str, Any]]:
    gone = [row for key, row in old.items() if key not in current and row["status"] != "fixed" and row["rule"] in rules]
    names = FINDINGS.names
    return [{**{name: row.get(name) for name in names}, "status": "fixed", "fix": None} for row in gone]


def with_issues(facts: Mapping[str, ibis.Table], findings: pa.Table, compiled: Compiled | None = None) -> dict[str, ibis.Table]:
    """The same facts; persons, companies and deals also have data_issues (open findings) and flags ("past due; stalled")."""
    c = compiled or over({}, None, facts)
    flags = pa.table({"rule": list(RULES), "flag": pa.array([r.flag or None for r in RULES.values()], pa.string())})
    now = findings.filter(pc.equal(findings["status"], "open")).select(["entity_kind", "entity_id", "rule"])
    open_ = now.join(flags, "rule", join_type="inner")
    rows = c.give("given.issues", open_)
    return dict(facts) | {k: c.view(f"issues.{k}", partial(_flagged, facts[k], rows, k)) for k in ("person", "company", "deal")}


def _flagged(facts: ibis.Table, issues: ibis.Table, kind: str) -> ibis.Table:
    """issues: one row per open finding: entity_kind, entity_id, rule, flag."""
    t = issues.filter(issues.entity_kind == kind)
    distinct = t.select("entity_id", "flag").distinct()
    named = distinct.group_by("entity_id").agg(flags=distinct.flag.group_concat("; ", order_by=distinct.flag))
    counted = t.group_by("entity_id").agg(data_issues=t.count())
    joined = facts.left_join(counted.left_join(named, "entity_id").drop("entity_id_right"), "entity_id").drop("entity_id_right")
    return joined.mutate(data_issues=joined.data_issues.fill_null(0))
