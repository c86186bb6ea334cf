"""Findings as the lake keeps them, looked up by their ids or by their records. It must not know rules."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from core.errors import UserError
from core.lake import Lake
from core.lake_forget import belongs, by_account

SHORTEST = 8  # characters of an id that name a finding
_ID = re.compile(rf"[0-9a-f]{{{SHORTEST},20}}")
_NEXT = "list them: tundish reconcile"


def is_finding_id(word: str) -> bool:
    """Whether it looks like a finding's id, or the beginning of one."""
    return _ID.fullmatch(word) is not None


def findings_like(lake: Lake, beginning: str) -> list[dict[str, Any]]:
    """The last state of each finding whose id begins so, at most two."""
    if not is_finding_id(beginning) or "finding" not in lake.kinds():
        return []
    last = "row_number() OVER (PARTITION BY finding_id ORDER BY batch_id DESC) = 1"
    found = f"SELECT * FROM finding_versions WHERE starts_with(finding_id, '{beginning}') QUALIFY {last} LIMIT 2"
    rows: list[dict[str, Any]] = lake.sql(found).to_pylist()
    return rows


def finding(lake: Lake, word: str) -> dict[str, Any]:
    """The finding of that id. Raises: UserError for none, or more than one that begins so."""
    rows = findings_like(lake, word)
    if len(rows) != 1:
        raise UserError(f"more than one finding begins with {word!r}" if rows else f"no finding {word!r}", next_step=_NEXT)
    return rows[0]


def findings_about(lake: Lake, keys: Sequence[tuple[str, str, str]]) -> set[str]:
    """Ids of all findings that ever named one of these (account, resource, vendor_id) records."""
    if "finding" not in lake.kinds():
        return set()
    wheres = [belongs("finding", account, group) for account, group in by_account(keys).items()]
    found = lake.sql(f"SELECT DISTINCT finding_id FROM finding_versions WHERE {' OR '.join(wheres)}") if wheres else None
    return set(found["finding_id"].to_pylist()) if found is not None else set()
