"""Which records hang together by their edges, and which of them come apart again because they cannot be one thing.

Everything is decided by the edges alone, never by their order. Only groups in doubt are looked at here, one by one; whole
data sets are grouped by scipy in `core.resolve`. It must not know what the records are, nor where edges come from.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

# How much each kind of evidence is believed. What a person said and what a vendor merged is never doubted by the hub itself.
STRENGTH = {
    "manual": 6, "merged": 6, "converted": 5, "association": 5, "link": 4, "email": 3, "other_email": 2, "domain": 2, "web_id": 1,
}  # fmt: skip
FIRM = 6
WEAK = ("other_email", "web_id")  # one of these alone does not join two groups that are large by themselves
_SHARED = {"email": "address", "other_email": "address", "web_id": "web_id", "domain": "domain"}  # values that any number of records hold
APART, CROWD, BRIDGE = "apart", "crowd", "bridge"  # why: a person said so; too many records; one weak edge between two large groups

Node = int | tuple[str, str]  # a record, or a value that records share


class Edge(NamedTuple):
    """Two records, l being the one all holders of a shared value are joined to."""

    l: int  # noqa: E741
    r: int
    evidence: str
    detail: str


class Cut(NamedTuple):
    """Two records that evidence joins and that are kept apart all the same."""

    l: int  # noqa: E741
    r: int
    evidence: str
    detail: str
    why: str


@dataclass(frozen=True)
class Limits:
    """records: live ones of one thing; bridge: live ones on both sides of a single weak edge."""

    records: int
    bridge: int


@dataclass(frozen=True)
class Groups:
    """group: record → the smallest record of its group. edges: what holds the groups together. cuts: what was not believed."""

    group: Mapping[int, int]
    edges: list[Edge]
    cuts: list[Cut]


class _Tie(NamedTuple):
    a: Node
    b: Node
    strength: int
    evidence: str
    detail: str
    fan: int  # how many records the value joins


def regroup(edges: Iterable[Edge], live: Mapping[int, object], apart: Iterable[tuple[int, int]], limits: Limits) -> Groups:
    """The groups of these records when `apart` pairs are never one, and no group is larger or joined more weakly than the limits say.

    live: the records that count, each with its age (what sorts first is older). A pair goes apart where the least evidence is lost; what
    belongs to both alike stays with the older. A group too large loses its weakest evidence, values that most records share first.
    """
    given = sorted(set(edges))
    ties = _ties(given)
    records = sorted({end for edge in given for end in edge[:2]})
    by_word = _apart(ties, live, apart)
    stages = [(APART, _labels(records, by_word))]
    by_size = _uncrowded(by_word, live, limits.records)
    stages.append((CROWD, _labels(records, by_size)))
    stages.append((BRIDGE, _labels(records, _unbridged(_inside(ties, stages[-1][1]), live, limits.bridge))))
    group = stages[-1][1]
    kept, cuts = _told(ties, stages)
    smallest: dict[Node, int] = {}
    named = {record: smallest.setdefault(group[record], record) for record in records}
    return Groups(named, sorted(kept), sorted(cuts))


# -- edges as ties: a shared value is a node of its own ------------------------------------------------------------------------
def _ties(edges: Sequence[Edge]) -> list[_Tie]:
    best: dict[tuple[Node, Node, str, str], _Tie] = {}
    for edge in edges:
        strength = STRENGTH[edge.evidence]
        family = _SHARED.get(edge.evidence)
        value: Node = (family, edge.detail) if family else edge.r
        for end in (edge.l, edge.r) if family else (edge.l,):
            key = (end, value, "" if family else edge.evidence, "" if family else edge.detail)
            known = best.get(key)
            if known is None or strength > known.strength:
                best[key] = _Tie(end, value, strength, edge.evidence, edge.detail, 0)
    fans = Counter(_value(tie) for tie in best.values())
    return sorted((tie._replace(fan=fans[_value(tie)]) for tie in best.values()), key=_order)


def _value(tie: _Tie) -> tuple[str, str]:
    return (_SHARED.get(tie.evidence, tie.evidence), tie.detail)


def _order(tie: _Tie) -> tuple[object, ...]:
    return (-tie.strength, tie.fan, str(tie.b), tie.a, tie.evidence, tie.detail)


class _Forest:
    """Union-find; the smallest record names its group."""

    def __init__(self) -> None:
        self.above: dict[Node, Node] = {}

    def root(self, node: Node) -> Node:
        path = []
        while (up := self.above.get(node, node)) != node:
            path.append(node)
            node = up
        for below in path:
            self.above[below] = node
        return node

    def join(self, a: Node, b: Node) -> None:
        a, b = self.root(a), self.root(b)
        if a != b:
            first, second = sorted((a, b), key=_rank)
            self.above[second] = first


def _rank(node: Node) -> tuple[bool, int, tuple[str, str]]:
    return (False, node, ("", "")) if isinstance(node, int) else (True, 0, node)


def _labels(records: Iterable[int], ties: Iterable[_Tie]) -> dict[Node, Node]:
    forest = _Forest()
    nodes: dict[Node, None] = dict.fromkeys(records)
    for tie in ties:
        forest.join(tie.a, tie.b)
        nodes |= {tie.a: None, tie.b: None}
    return {node: forest.root(node) for node in nodes}


def _inside(ties: Iterable[_Tie], group: Mapping[Node, Node]) -> list[_Tie]:
    """The ties that lie within one group; what was left out on the way there may well hold there."""
    return [tie for tie in ties if group[tie.a] == group.get(tie.b, tie.b)]


# -- a person said: these are two ------------------------------------------------------------------------------------------------
def _apart(ties: list[_Tie], live: Mapping[int, object], apart: Iterable[tuple[int, int]]) -> list[_Tie]:
    for pair in sorted({tuple(sorted(pair)) for pair in apart}):
        older, younger = sorted(pair, key=lambda record: (record not in live, live.get(record, 0), record))
        ties = _cheapest_cut(ties, younger, older)
    return ties


def _cheapest_cut(ties: list[_Tie], source: int, sink: int) -> list[_Tie]:
    """The ties without those that part the two at the least cost; of equal ways, the one that leaves the least with `source`.

    By maximum flow (Edmonds and Karp): a tie of one strength outweighs all of the weaker ones.
    """
    weight = {strength: (len(ties) + 1) ** strength for strength in {tie.strength for tie in ties}}
    room: dict[Node, dict[Node, int]] = {}
    for tie in ties:
        for a, b in ((tie.a, tie.b), (tie.b, tie.a)):
            there = room.setdefault(a, {})
            there[b] = there.get(b, 0) + weight[tie.strength]
    while sink in (came := _reached(room, source)):
        path: list[tuple[Node, Node]] = []
        node: Node = sink
        while node != source:
            path.append((came[node], node))
            node = came[node]
        flow = min(room[a][b] for a, b in path)
        for a, b in path:
            room[a][b] -= flow
            room[b][a] = room[b].get(a, 0) + flow
    return [tie for tie in ties if (tie.a in came) == (tie.b in came)]


def _reached(room: Mapping[Node, Mapping[Node, int]], source: Node) -> dict[Node, Node]:
    """What can still be reached, each with where it was reached from."""
    came: dict[Node, Node] = {source: source}
    queue: deque[Node] = deque([source])
    while queue:
        node = queue.popleft()
        for other, left in room.get(node, {}).items():
            if left and other not in came:
                came[other] = node
                queue.append(other)
    return came


# -- too many records for one thing ------------------------------------------------------------------------------------------------
def _uncrowded(ties: list[_Tie], live: Mapping[int, object], most: int) -> list[_Tie]:
    """From the strongest ties to the weakest, and from values of few records to those of many: what makes no group too large."""
    forest = _Forest()
    count: dict[Node, int] = {}
    kept: list[_Tie] = []
    for (strength, _), some in groupby(sorted(ties, key=_order), key=lambda tie: (tie.strength, tie.fan)):
        level = list(some)
        for together in _meeting(level, forest):
            roots = {forest.root(end) for tie in together for end in (tie.a, tie.b)}
            size = sum(count.get(root, int(root in live)) for root in roots)
            if size <= most or strength == FIRM:
                for tie in together:
                    forest.join(tie.a, tie.b)
                count[forest.root(together[0].a)] = size
                kept += together
    return kept


def _meeting(level: Sequence[_Tie], forest: _Forest) -> Iterator[list[_Tie]]:
    """The ties of one level by the groups they would make."""
    would = _Forest()
    for tie in level:
        would.join(forest.root(tie.a), forest.root(tie.b))
    by_group: dict[Node, list[_Tie]] = {}
    for tie in level:
        by_group.setdefault(would.root(forest.root(tie.a)), []).append(tie)
    yield from by_group.values()


# -- two large groups on one weak edge -----------------------------------------------------------------------------------------------
def _unbridged(ties: list[_Tie], live: Mapping[int, object], least: int) -> list[_Tie]:
    """The ties without weak ones that alone join two groups of `least` or more live records."""
    near: dict[Node, list[tuple[int, Node]]] = {}
    for n, tie in enumerate(ties):
        near.setdefault(tie.a, []).append((n, tie.b))
        near.setdefault(tie.b, []).append((n, tie.a))
    gone: set[int] = set()
    seen: set[Node] = set()
    for start in near:
        if start not in seen:
            whole, bridges = _bridges(near, start, live)
            seen |= whole
            total = sum(node in live for node in whole)
            gone |= {n for n, below in bridges if ties[n].evidence in WEAK and min(below, total - below) >= least}
    return [tie for n, tie in enumerate(ties) if n not in gone]


def _bridges(
    near: Mapping[Node, Sequence[tuple[int, Node]]], start: Node, live: Mapping[int, object]
) -> tuple[set[Node], list[tuple[int, int]]]:
    """(all nodes of the group; its bridges with the live records beyond each), by Tarjan's low links without recursion."""
    place: dict[Node, int] = {start: 0}
    low: dict[Node, int] = {start: 0}
    below: dict[Node, int] = {start: int(start in live)}
    found: list[tuple[int, int]] = []
    stack = [(start, -1, start, iter(near[start]))]
    while stack:
        node, by, parent, rest = stack[-1]
        for n, other in rest:
            if n == by:
                continue
            if other in place:
                low[node] = min(low[node], place[other])
                continue
            place[other] = low[other] = len(place)
            below[other] = int(other in live)
            stack.append((other, n, node, iter(near[other])))
            break
        else:
            stack.pop()
            if by >= 0:
                low[parent] = min(low[parent], low[node])
                below[parent] += below[node]
                if low[node] > place[parent]:
                    found.append((by, below[node]))
    return set(place), found


# -- what holds and what does not ------------------------------------------------------------------------------------------------
def _told(ties: Sequence[_Tie], stages: Sequence[tuple[str, Mapping[Node, Node]]]) -> tuple[list[Edge], list[Cut]]:
    final = stages[-1][1]
    kept, cuts = [], []

    def add(one: int, other: int, evidence: str, detail: str) -> None:
        if final[one] == final[other]:
            kept.append(Edge(one, other, evidence, detail))
        else:
            why = next(name for name, group in stages if group[one] != group[other])
            cuts.append(Cut(min(one, other), max(one, other), evidence, detail, why))

    holders: dict[Node, list[_Tie]] = {}
    for tie in ties:
        if isinstance(tie.b, int):
            assert isinstance(tie.a, int)
            add(tie.a, tie.b, tie.evidence, tie.detail)
        else:
            holders.setdefault(tie.b, []).append(tie)
    for some in holders.values():
        for first, other, evidence, detail in _stars(sorted(some, key=_order), final):
            add(first, other, evidence, detail)
    return kept, cuts


def _stars(holders: Sequence[_Tie], final: Mapping[Node, Node]) -> Iterator[tuple[int, int, str, str]]:
    """The holders of a value in each group joined to their first, and the groups' firsts to the first of all."""
    firsts: dict[Node, int] = {}
    for tie in holders:
        assert isinstance(tie.a, int)
        first = firsts.setdefault(final[tie.a], tie.a)
        if first != tie.a:
            yield first, tie.a, tie.evidence, tie.detail
        elif first != (top := next(iter(firsts.values()))):
            yield top, first, tie.evidence, tie.detail
