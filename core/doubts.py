"""Groups of records in doubt: found among all groups by numbers alone, then looked at edge by edge (`core.components`).

In doubt is a group that people decided about, one with more records than one thing can have, and a large one with weak evidence
in it. All others, which are nearly all, are never brought here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np
import pyarrow as pa

from core.compiled import Compiled
from core.components import APART, WEAK, Edge, Groups, Limits, regroup
from core.evidence import aliases
from core.identity_decisions import ONE, TWO, Decision

Numbers = np.ndarray[Any, Any]
EDGES = pa.schema([("l", pa.int64()), ("r", pa.int64()), ("evidence", pa.string()), ("detail", pa.string())])
CUTS = pa.schema([(n, pa.string()) for n in ("kind", "left_key", "right_key", "evidence", "detail", "why", "part")])
_ASKED = pa.schema([("n", pa.int64()), ("side", pa.int64()), ("name", pa.string())])
_FOUND = pa.schema([("n", pa.int64()), ("side", pa.int64()), ("i", pa.int64())])
_RECORDS = pa.schema([("i", pa.int64()), ("key", pa.string()), ("live", pa.bool_()), ("created_at", pa.timestamp("us", "UTC"))])
_ONE_EACH = pa.schema([("i", pa.int64())])


@dataclass(frozen=True)
class Said:
    """Decisions between records of one kind, by row number. found: (number of the decision, side) of every record that is known."""

    links: pa.Table
    apart: list[tuple[int, int]]
    found: frozenset[tuple[int, int]]


def said_of(here: Compiled, name: str, nodes: ibis.Table, decisions: Sequence[Decision]) -> Said:
    """The decisions about these records, whatever former or shortened id a record was named by."""
    if not decisions:
        return Said(EDGES.empty_table(), [], frozenset())
    sides = [(n, side, key) for n, d in enumerate(decisions) for side, key in enumerate((d.left, d.right))]
    asked = [{"n": n, "side": side, "name": text} for n, side, key in sides for text in _spellings(key)]
    given = here.give(f"{name}.asked", pa.Table.from_pylist(asked, schema=_ASKED))
    rows = here.rows(f"{name}.named", lambda: _named(nodes, given), _FOUND).to_pylist()
    at = {(row["n"], row["side"]): row["i"] for row in rows}
    ends = [(d, at[n, 0], at[n, 1]) for n, d in enumerate(decisions) if (n, 0) in at and (n, 1) in at and at[n, 0] != at[n, 1]]
    links = [{"l": min(a, b), "r": max(a, b), "evidence": "manual", "detail": d.why or d.where} for d, a, b in ends if d.verdict == ONE]
    return Said(pa.Table.from_pylist(links, schema=EDGES), [(a, b) for d, a, b in ends if d.verdict == TWO], frozenset(at))


def _spellings(key: str) -> list[str]:
    """The key, and the same with a Salesforce id cut to the 15 characters that are compared."""
    head, _, id_ = key.rpartition(":")
    return [key, f"{head}:{id_[:15]}"] if len(id_) == 18 else [key]


def _named(nodes: ibis.Table, asked: ibis.Table) -> ibis.Table:
    known = aliases(nodes)
    exact = nodes.select("i", name="key", rank=ibis.literal(0))
    other = known.select(i="to", name=known.account.concat(":", known.resource, ":", known.nid), rank=ibis.literal(1))
    t = asked.inner_join(ibis.union(exact, other), "name")
    return t.group_by("n", "side").agg(i=t.i.argmin(t.rank * 1_000_000_000_000 + t.i))


@dataclass(frozen=True)
class Settled:
    """labels: of every record its group. doubted: records whose edges are `edges` and no others. cuts: columns CUTS without kind."""

    labels: Numbers
    doubted: pa.Table
    edges: pa.Table
    cuts: list[dict[str, str]]


def settle(
    here: Compiled, name: str, nodes: ibis.Table, pairs: ibis.Table, labels: Numbers, ends: pa.Table, apart: Sequence[tuple[int, int]],
    limits: Limits,
) -> Settled:  # fmt: skip
    """The groups after all doubts. ends: l, r and `weak` of every edge; labels: the groups by all edges."""
    live = here.rows(f"{name}.live", lambda: nodes.filter(nodes.live).select("i"), _ONE_EACH)["i"].to_numpy()
    doubted = _doubtful(labels, live, ends, apart, limits)
    given = here.give(f"{name}.doubted", pa.table({"i": doubted}))
    if not len(doubted):
        return Settled(labels, pa.table({"i": doubted}), EDGES.empty_table(), [])
    rows = here.rows(
        f"{name}.doubted_records", lambda: nodes.semi_join(given, "i").select(*_RECORDS.names).order_by("i"), _RECORDS
    ).to_pylist()
    edges = here.rows(f"{name}.doubted_edges", lambda: pairs.semi_join(given, pairs.l == given.i).select(*EDGES.names), EDGES).to_pylist()
    ages = {row["i"]: (row["created_at"] is None, str(row["created_at"]), row["i"]) for row in rows if row["live"]}
    found = regroup((Edge(*edge.values()) for edge in edges), ages, apart, limits)
    keys = {row["i"]: row["key"] for row in rows}
    kept = pa.Table.from_pylist([edge._asdict() for edge in found.edges], schema=EDGES)
    return Settled(_relabelled(labels, found), pa.table({"i": doubted}), kept, _cuts(found, keys, labels))


def _doubtful(labels: Numbers, live: Numbers, ends: pa.Table, apart: Sequence[tuple[int, int]], limits: Limits) -> Numbers:
    """Row numbers of all records of groups in doubt."""
    if not len(labels):
        return np.empty(0, dtype=np.int64)
    size = np.bincount(labels[live], minlength=int(labels.max()) + 1)
    weak = np.zeros(len(size), dtype=bool)
    weak[labels[ends["l"].to_numpy()[ends["weak"].to_numpy(zero_copy_only=False)]]] = True
    doubt = (size > limits.records) | (weak & (size >= 2 * limits.bridge))
    doubt[[labels[a] for a, b in apart if labels[a] == labels[b]]] = True
    found: Numbers = np.flatnonzero(doubt[labels]).astype(np.int64)
    return found


def weak(evidence: ibis.Value) -> ibis.Value:
    return evidence.isin(list(WEAK))


def _relabelled(labels: Numbers, found: Groups) -> Numbers:
    """A group keeps its number for the part with its smallest record; every other part gets a new one."""
    new = labels.copy()
    first = int(labels.max()) + 1
    numbers: dict[int, int] = {}
    kept: set[int] = set()
    for record in sorted(found.group):
        part = found.group[record]
        if part not in numbers:
            own = int(labels[record])
            numbers[part] = first + len(numbers) if own in kept else own
            kept.add(own)
        new[record] = numbers[part]
    return new


def _cuts(found: Groups, keys: dict[int, str], labels: Numbers) -> list[dict[str, str]]:
    """`part` names the group that came apart: the smallest of its records."""
    smallest: dict[int, str] = {}
    for record in sorted(found.group):
        smallest.setdefault(int(labels[record]), keys[record])
    return [
        {"left_key": keys[cut.l], "right_key": keys[cut.r], "evidence": cut.evidence, "detail": cut.detail, "why": cut.why,
         "part": smallest[int(labels[cut.l])]}
        for cut in found.cuts
    ]  # fmt: skip


__all__ = ["APART", "CUTS", "EDGES", "Limits", "Said", "Settled", "said_of", "settle", "weak"]
