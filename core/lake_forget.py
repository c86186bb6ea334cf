"""Which rows of the lake belong to a person who is to be forgotten: the records themselves and what hangs on them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from core.lake_scan import quoted
from core.model import KINDS


def by_account(keys: Sequence[tuple[str, str, str]]) -> dict[str, list[tuple[str, str]]]:
    groups: dict[str, list[tuple[str, str]]] = {}
    for account, resource, vendor_id in keys:
        groups.setdefault(account, []).append((resource, vendor_id))
    return groups


def address_digests(engine: Any, people: Any, keys: Sequence[tuple[str, str, str]]) -> list[str]:
    """Digests of all addresses that these records ever had. people: every version of the persons."""
    import ibis  # slow to import, and only who forgets needs it

    from core.evidence import address_digest

    names = ("account", "resource", "vendor_id")
    wanted = ibis.memtable(pa.table({name: pa.array([key[i] for key in keys], pa.string()) for i, name in enumerate(names)}))
    mine = people.semi_join(wanted, list(names))
    every = ibis.union(mine.select(address="email"), mine.select(address="other_emails").unnest("address"))
    digests = every.select(digest=address_digest(every.address)).distinct()
    return [digest for digest in engine.to_pyarrow(digests)["digest"].to_pylist() if digest]


_HANGS_ON = {"touch": ("person_id",), "stage_change": ("record_id",), "association": ("from_id", "to_id")}


def belongs(kind: str, account: str, keys: Sequence[tuple[str, str]]) -> str:
    """SQL condition of the rows of `kind` that are one of the keys, or tell something about one. "": none can be."""
    if kind in ("link", "cut", "suggestion"):
        names = ", ".join(f"'{quoted(f'{account}:{r}:{v}')}'" for r, v in keys)
        return f"left_key IN ({names}) OR right_key IN ({names})" + (f" OR part IN ({names})" if kind == "cut" else "")
    if kind == "finding":  # computed anew by the next run, without them
        return " OR ".join(f"strpos(records, '{quoted(json.dumps([account, r, v], separators=(',', ':')))}') > 0" for r, v in keys)
    own = " OR ".join(f"(resource = '{quoted(r)}' AND vendor_id = '{quoted(v)}')" for r, v in keys)
    ids = ", ".join(f"'{quoted(v)}'" for _, v in keys)
    conditions = [own] if kind in KINDS or kind == "member" else []
    conditions += [f"{column} IN ({ids})" for column in _HANGS_ON.get(kind, ())]
    return f"account = '{quoted(account)}' AND ({' OR '.join(conditions)})" if conditions else ""
