"""One finding in full: what each record says and since when, the rows behind it side by side, what settles it, what people said."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.lake_findings import finding
from core.lake_scan import quoted
from core.model import KINDS
from jobs import show
from jobs.notes import noted
from jobs.pages import Pages, pages
from jobs.show_findings import SHORT, notes_table, opened, remedy, said
from jobs.show_private import value_of, without_people
from jobs.show_table import Table, table, text
from jobs.wiring import Hub

Row = dict[str, Any]
_FIRST = ("person", "company", "deal", "campaign", "experiment")  # of a resource that gives several kinds, these are the record itself
_HOW = ("account", "resource", "vendor_id", "run_id", "batch_id", "version", "content_hash", "attributes", "observed_at", "vendor")
_ABREAST = 3  # records in one table
# A finding names our fields, or what is compared of them.
_COLUMNS = {
    "owner": ("owner_id",),
    "stage": ("raw_stage",),
    "outcome": ("raw_stage",),
    "link": ("links",),
    "lifecycle": ("stage", "raw_stage"),
}


def explain_finding(hub: Hub, word: str, limit: int = 50) -> tuple[Row, str]:
    """(data, text) of a finding as the last reconcile run left it, by its id or a beginning of it. Text: `limit` records."""
    found = finding(hub.lake, word)
    [shown] = noted(hub, [opened(found)])
    keys = [(str(a), str(r), str(v)) for a, r, v in shown["records"]]
    rows = _rows(hub, keys)
    at = pages(hub, sorted({account for account, _, _ in keys if account in hub.connectors}))
    sides = [_side(shown, key, rows.get(key, {}), at) for key in keys]
    data = {"finding": shown, "sides": sides, "rows": [{"record": ":".join(key), **_masked(rows[key])} for key in keys if key in rows]}
    return data, "\n\n".join(part for part in _parts(shown, sides, rows, keys[:limit], at) if part)


def _rows(hub: Hub, keys: Sequence[tuple[str, str, str]]) -> dict[tuple[str, str, str], Row]:
    """The current row of each record, under its key."""
    rows: dict[tuple[str, str, str], Row] = {}
    have = hub.lake.kinds()
    for kind in dict.fromkeys(k for k in (*_FIRST, *KINDS) if k in have):
        mine = [k for k in keys if k not in rows and kind in _kinds(hub, k)]
        if mine:
            names = ", ".join(f"('{quoted(a)}', '{quoted(r)}', '{quoted(v)}')" for a, r, v in mine)
            for row in hub.lake.sql(f"SELECT * FROM {kind} WHERE (account, resource, vendor_id) IN ({names})").to_pylist():
                rows[(row["account"], row["resource"], row["vendor_id"])] = row
    return rows


def _kinds(hub: Hub, key: tuple[str, str, str]) -> tuple[str, ...]:
    mapping = hub.setup.mappings.get(key[0])
    return tuple(mapping.resources[key[1]].kinds) if mapping and key[1] in mapping.resources else ()


def _side(shown: Row, key: tuple[str, str, str], row: Row, at: Pages) -> Row:
    """What one record says. The finding calls it by its account, or by account, object and id where an account has several."""
    values, times = shown.get("values") or {}, (shown.get("evidence") or {}).get("at") or {}
    whole = ":".join(key)
    name = whole if whole in values else key[0]
    alone = sum(record[0] == key[0] for record in shown["records"]) == 1
    known = name in values and (alone or name == whole)
    return {
        "record": whole, "says": values.get(name) if known else None, "since": times.get(name) if known else None,
        "updated": row.get("updated_at"), "deleted": bool(row.get("deleted")), "page": at.of(*key, _attributes(row)),
    }  # fmt: skip


def _attributes(row: Row) -> Row:
    return json.loads(row["attributes"]) if row.get("attributes") else {}


def _values(row: Row) -> dict[str, str]:
    """Field → value, without what says how the row came here; what is empty is left out. Not masked."""
    fields = {name: value for name, value in row.items() if name not in _HOW and (name, value) != ("deleted", False)}
    fields |= {f"attributes.{name}": value for name, value in _attributes(row).items()}
    return {name: _plain(value) for name, value in fields.items() if value not in (None, "", [])}


def _masked(row: Row) -> dict[str, str]:
    """The same as it may be shown."""
    return {name: value_of(name, value) for name, value in _values(row).items()}


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


# -- in words -----------------------------------------------------------------------------------------------------------
def _parts(shown: Row, sides: Sequence[Row], rows: Mapping[Any, Row], keys: Sequence[tuple[str, str, str]], at: Pages) -> list[str]:
    lines = [[s["record"], s["says"], _since(s["since"]), "deleted" if s["deleted"] else _since(s["updated"]), s["page"]] for s in sides]
    says = show.table_text([*("record", f"says of {shown['field']}", "since (UTC)", "changed (UTC)", "page")], lines[: len(keys)])
    without = [s["record"].partition(":")[0] for s in sides if not s["page"]]
    notes = notes_table([shown])
    compared = [keys[i : i + _ABREAST] for i in range(0, len(keys), _ABREAST)]
    beside = [text(t) for part in compared if (t := _beside(part, rows, shown["field"])) is not None]
    return [_head(shown), says + (f"\n{advice}" if (advice := at.advice(without)) else ""), _evidence(shown), *beside, _next(shown),
            text(notes) if notes else ""]  # fmt: skip


def _head(shown: Row) -> str:
    words = f"{shown['rule']} {shown['title']} ({shown['severity']}), {said(shown['status'])}"
    first = f"first seen {_since(shown['first_seen'])}, last {_since(shown['last_seen'])}"
    since = f"; so since {_since(shown['since'])}" if shown.get("since") else ""
    return f"finding {shown['finding_id']}: {words}\n{shown['entity_kind']} {shown['entity_id']}, {first} UTC{since}"


def _evidence(shown: Row) -> str:
    evidence = shown.get("evidence") or {}
    return "\n".join(without_people(str(line)) for line in (evidence.get("why"), *(evidence.get("notes") or ())) if line)


def _beside(keys: Sequence[tuple[str, str, str]], rows: Mapping[Any, Row], field: str) -> Table | None:
    """The records' fields side by side: first what the finding is about, then what differs (≠), then the rest."""
    known = [key for key in keys if key in rows]
    values, shown = [_values(rows[key]) for key in known], [_masked(rows[key]) for key in known]
    about = (field, *_COLUMNS.get(field, ()))
    names = sorted({name for row in values for name in row}, key=lambda n: (n not in about, not _differs(values, n), n))
    lines = [["≠" if _differs(values, n) else "", n, *(row.get(n, "") for row in shown)] for n in names]
    return table(["", "field", *(":".join(key) for key in known)], lines) if lines else None


def _differs(values: Sequence[Mapping[str, str]], name: str) -> bool:
    """Whether two records say different things; one that says nothing differs from none."""
    return len({row[name].casefold() for row in values if name in row}) > 1


def _next(shown: Row) -> str:
    if shown["status"] == "fixed":
        return "nothing is left to do"
    fix = shown.get("fix")
    if not isinstance(fix, Mapping):
        answer = f'\nas it is right: tundish note {shown["finding_id"][:SHORT]} "…" --accept' if shown["status"] == "open" else ""
        return f"question: {remedy(shown) or 'none'}{answer}"
    record = f"{fix['account']}:{fix['resource']}:{fix['vendor_id']}"
    return f"safe fix ({fix.get('policy') or 'derived'}): {remedy(shown)}\nplan it: tundish plan --rule {shown['rule']} --record {record}"


def _since(value: Any) -> str:
    return _plain(value) if isinstance(value, datetime) else str(value or "")[:16].replace("T", " ")
