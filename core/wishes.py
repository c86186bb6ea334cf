"""From what we know to what we wish: facts and findings → `Desired` values of vendor fields, by the mapping's `push` section.

Hub-owned fields come from facts, in the engine, and only where the value differs from the one last pushed. Fields that
belong to people are only ever wished by a finding's safe fix, and only when the mapping names a field for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import ibis
import pyarrow as pa

from core.change import ANY, ANY_STAYS, Desired, Held, canonical
from core.compiled import Compiled
from core.connector import Connector, Target
from core.errors import UserError
from core.mapping import Mapping as VendorMapping
from core.mapping import Push

# A fix and a finding name our field, a history its own; a push names what it is written from.
PUSHED_FROM = {"owner": "owner_id", "status": "lead_status", "consent": "marketable"}
_NO_GUARD = ("derived", "source_of_truth", "prefer_unless_blank", "most_recent")  # `core.plan` holds nothing for these
_DAY, _NOON = re.compile(r"\d{4}-\d\d-\d\d"), "T12:00:00Z"  # a day as an instant: at noon it is the same day in every time zone but two
_WISH = pa.schema([(n, pa.string()) for n in ("vendor_id", "entity_id", "field", "value", "value_hash")])
NOTHING = "d41d8cd98f00b204e9800998ecf8427e"  # md5 of "": what is stored for a field we cleared


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]
def md5(text: str) -> str:  # type: ignore[empty-body]
    """The engine's own md5, in lower-case hexadecimal (DuckDB, PostgreSQL and Spark agree)."""


def derived(
    account: str,
    connector: Connector,
    mapping: VendorMapping,
    members: ibis.Table,
    facts: Mapping[str, ibis.Table],
    pushed: pa.Table,
    compiled: Compiled,
) -> Iterator[tuple[Desired, str]]:
    """(wish, md5 of its value) for every hub-owned field whose value is not the one last pushed.

    members: resolved records (entity_id, kind, account, resource, vendor_id, live).
    pushed: columns vendor_id, target, field, value_hash of this account.
    """
    done = compiled.give(f"pushed.{account}", pushed)
    for target in connector.targets:
        pushes = [p for p in mapping.pushes(target.name) if p.owned]
        if not pushes:
            continue
        by_name = {push.field: push for push in pushes}
        for kind in _kinds(mapping, target, facts):
            query = partial(_fresh, members, facts[kind], done, account, target, kind, pushes)
            for row in compiled.rows(f"wish.{account}.{target.name}.{kind}", query, _WISH).to_pylist():
                yield _derived(account, target.name, by_name[row["field"]], row), row["value_hash"]


def _kinds(mapping: VendorMapping, target: Target, facts: Mapping[str, ibis.Table]) -> list[str]:
    kinds = ("influence",) if target.kind == "links" else mapping.resource(target.resource).kinds
    return [k for k in kinds if k in ("person", "company", "deal", "campaign", "influence") and k in facts]


def _fresh(
    members: ibis.Table, facts: ibis.Table, done: ibis.Table, account: str, target: Target, kind: str, pushes: Sequence[Push]
) -> ibis.Table:
    """Values that are not the ones last pushed; columns: _WISH.

    What was pushed last may stay where a fact `stay_<source>` names it too: the number has hardly moved. "*" lets anything stay.
    """
    mine = members.filter(members.account == account, members.resource == target.resource, members.live, members.kind == kind)
    rows = mine.select("vendor_id", "entity_id").inner_join(facts, "entity_id")
    may_stay = any(f"stay_{push.source}" in rows.columns for push in pushes)
    parts = [_column(rows, push, may_stay) for push in pushes]
    wanted = ibis.union(*parts) if len(parts) > 1 else parts[0]
    wanted = wanted.mutate(value_hash=md5(wanted.value.fill_null("")))
    known = done.filter(done.target == target.name).select("vendor_id", "field", known="value_hash")
    joined = wanted.left_join(known, ["vendor_id", "field"])
    fresh = joined.filter(joined.known.isnull() & joined.value.notnull() | (joined.known != joined.value_hash))
    fresh = (
        fresh.filter(~((fresh.stay == ANY_STAYS) | (fresh.known == md5(fresh.stay))).fill_null(False)) if "stay" in fresh.columns else fresh
    )
    return fresh.select(*_WISH.names)


def _derived(account: str, target: str, push: Push, row: Mapping[str, Any]) -> Desired:
    value = canonical(_translated(push, row["value"]), push.type)
    why = f"{push.source} of {row['entity_id']}"
    return Desired(account, target, row["vendor_id"], row["field"], push.type, value, why, push.policy, "", row["entity_id"])


def _column(rows: ibis.Table, push: Push, may_stay: bool) -> ibis.Table:
    if push.source not in rows.columns:
        have = ", ".join(sorted(set(rows.columns) - {"vendor_id", "entity_id"}))
        raise UserError(f"`from: {push.source}` is not known for these records", where=push.where, next_step=f"use one of: {have}")
    for name, allowed in push.only_when.items():
        rows = rows.filter(rows[name].cast("string").isin([str(v) for v in allowed]))
    stay = f"stay_{push.source}"
    also = {"stay": rows[stay].cast("string") if stay in rows.columns else ibis.null("string")} if may_stay else {}
    return rows.select("vendor_id", "entity_id", field=ibis.literal(push.field), value=rows[push.source].cast("string"), **also)


def _translated(push: Push, value: str | None) -> Any:
    if value is None or push.values is None:
        return value
    return push.values.get(value)


@dataclass(frozen=True)
class Book:
    """What is needed to say a fix in a vendor's words. `owners`: (account, e-mail in lower case) → the vendor's owner id."""

    connectors: Mapping[str, Connector]
    mappings: Mapping[str, VendorMapping]
    owners: Mapping[tuple[str, str], str]


def fixes(findings: Iterable[Mapping[str, Any]], book: Book) -> list[tuple[str, Desired | Held]]:
    """(finding's id, what its safe fix asks for); `Held` where no mapping lets us write it.

    findings: rows with finding_id, rule, entity_id, and fix (JSON: account, resource, vendor_id, field, value, policy, before?).
    """
    return [(str(finding["finding_id"]), _wish(finding, fix, book)) for finding in findings for fix in _fixes_of(finding)]


def _fixes_of(finding: Mapping[str, Any]) -> list[dict[str, Any]]:
    fix = json.loads(finding["fix"]) if finding.get("fix") else []
    return fix if isinstance(fix, list) else [fix]


def _wish(finding: Mapping[str, Any], fix: Mapping[str, Any], book: Book) -> Desired | Held:
    account = str(fix["account"])
    connector, mapping = book.connectors.get(account), book.mappings.get(account)
    source = PUSHED_FROM.get(str(fix["field"]), str(fix["field"]))
    targets = [t.name for t in connector.targets if t.resource == fix["resource"]] if connector else []
    pushes = [p for t in targets if mapping for p in mapping.pushes(t) if p.source == source]
    if not pushes or mapping is None:
        reason = f"no `push` for {fix['field']} of {fix['resource']} in the mapping; add one to let the hub write it"
        return Held(
            account, str(fix["resource"]), str(fix["vendor_id"]), str(fix["field"]), None, _text(fix.get("value")), reason, finding["rule"]
        )
    push = pushes[0]
    value = canonical(_vendor_value(push, mapping, fix, book), push.type)
    before = _before(push, fix["before"]) if "before" in fix else ANY
    why = f"{finding['rule']}: {finding.get('title') or fix['field']}"
    return Desired(
        account, push.target, str(fix["vendor_id"]), push.field, push.type, value, why, _policy(push, fix), finding["rule"],
        finding["entity_id"], before,
    )  # fmt: skip


def _before(push: Push, seen: Any) -> str | None:
    """What the lake saw there; of an instant it only keeps the day."""
    return str(seen) if push.type == "datetime" and _DAY.fullmatch(str(seen)) else canonical(seen, push.type)


def _policy(push: Push, fix: Mapping[str, Any]) -> str:
    """The mapping's policy where it holds wishes back, else the one that decided: the funnel's, or the rule's own."""
    return str(fix.get("policy") or push.policy) if push.policy in _NO_GUARD else push.policy


def _vendor_value(push: Push, mapping: VendorMapping, fix: Mapping[str, Any], book: Book) -> Any:
    value = fix.get("value")
    if push.source == "owner_id":
        return book.owners.get((str(fix["account"]), str(value).lower()))
    if push.table and value is not None:
        return mapping.vendor_stage(push.table, str(value), fix.get("pipeline"))
    value = push.values.get(str(value)) if push.values is not None else value
    return f"{value}{_NOON}" if push.type == "datetime" and _DAY.fullmatch(str(value)) else value


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
