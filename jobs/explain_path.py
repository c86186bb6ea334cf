"""Why two records are one, step by step, or why they are not: the shortest chain of evidence between them."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from core.components import APART, BRIDGE, CROWD, STRENGTH
from core.errors import UserError
from core.pipeline import Understanding
from jobs import show
from jobs.show_private import without_people
from jobs.wiring import Hub

Row = Mapping[str, Any]
_BECAUSE = {
    "manual": "a person said so", "merged": "the vendor merged them", "converted": "the lead was converted into it",
    "association": "the vendor associates them", "link": "one carries the other's id", "email": "the same e-mail address",
    "other_email": "a further e-mail address of one is the other's", "domain": "the same domain", "web_id": "the same visitor's id",
}  # fmt: skip
_SHOWN = ("manual", "link", "domain", "converted", "association")  # the details of others are personal
_PARTED = {
    APART: "people said that the two are not one", CROWD: "too many records hang together",
    BRIDGE: "one weak piece of evidence does not join two large groups",
}  # fmt: skip


def path(links: Iterable[Row], start: Collection[str], goal: Collection[str]) -> list[Row]:
    """The links of the shortest way from one of the records to one of the others; of equal ways the strongest. Empty: there is none."""
    near: dict[str, list[tuple[str, Row]]] = {}
    for row in links:
        near.setdefault(row["left_key"], []).append((row["right_key"], row))
        near.setdefault(row["right_key"], []).append((row["left_key"], row))
    queue: list[tuple[int, int, str]] = [(0, 0, key) for key in sorted(start)]
    came: dict[str, tuple[str, Row]] = {}
    done: set[str] = set()
    best: dict[str, tuple[int, int]] = dict.fromkeys(start, (0, 0))
    while queue:
        steps, weakness, key = heapq.heappop(queue)
        if key in done:
            continue
        done.add(key)
        if key in goal:
            return _back(came, key)
        for other, row in sorted(near.get(key, ()), key=lambda pair: (pair[0], -STRENGTH[pair[1]["evidence"]])):
            cost = (steps + 1, weakness - STRENGTH[row["evidence"]])
            if other not in best or cost < best[other]:
                best[other] = cost
                came[other] = (key, row)
                heapq.heappush(queue, (*cost, other))
    return []


def _back(came: Mapping[str, tuple[str, Row]], key: str) -> list[Row]:
    found: list[Row] = []
    while key in came:
        before, row = came[key]
        found.append({**row, "from": before, "to": key})
        key = before
    return found[::-1]


def explain_path(hub: Hub, found: Understanding, one: str, other: str) -> tuple[dict[str, Any], str]:
    """(data, text) for two records (account:resource:id) or entity ids."""
    members = found.members.to_pylist()
    (first, a), (second, b) = _side(found, members, one), _side(found, members, other)
    if first == second and a == b:
        raise UserError(f"{one} and {other} are one record or entity", next_step=f"why its records are one: tundish explain {one}")
    lake = hub.lake
    if first != second:
        cuts = lake.engine.to_pyarrow(lake.latest_run("cut")).to_pylist()
        mine = [r for r in cuts if _between(r, _keys(members, first), _keys(members, second))]
        data = {"from": one, "to": other, "same": False, "entities": [first, second], "path": [], "cuts": mine}
        return data, "\n".join([f"{one} is {first}, {other} is {second}: nothing that is believed joins them", *map(_cut_text, mine)])
    within = _keys(members, first)
    links = [r for r in lake.engine.to_pyarrow(lake.latest_run("link")).to_pylist() if r["left_key"] in within]
    way = path(links, a, b)
    steps = [[r["from"], r["to"], because(r)] for r in way]
    data = {"from": one, "to": other, "same": True, "entities": [first], "path": [{**r, "because": because(r)} for r in way], "cuts": []}
    return data, f"both are {first}\n" + show.table_text(["record", "is", "because"], steps)


def because(link: Row) -> str:
    """Why the link holds, in words; addresses and visitors' ids stay out."""
    words = _BECAUSE[link["evidence"]]
    return f"{words}: {without_people(link['detail'])}" if link["evidence"] in _SHOWN and link["detail"] else words


def _side(found: Understanding, members: Sequence[Row], what: str) -> tuple[str, set[str]]:
    """(entity, records): of a record itself, of an entity all its own."""
    for member in members:
        if what.count(":") >= 2 and _key(member) == what:
            return member["entity_id"], {what}
    entity = found.past.now(what)
    if not (keys := _keys(members, entity)):
        raise UserError(f"nothing is known of {what!r}", next_step="write a record as account:resource:id, or an entity's id")
    return entity, keys


def _key(member: Row) -> str:
    return f"{member['account']}:{member['resource']}:{member['vendor_id']}"


def _keys(members: Sequence[Row], entity: str) -> set[str]:
    return {_key(m) for m in members if m["entity_id"] == entity}


def _between(cut: Row, one: Collection[str], other: Collection[str]) -> bool:
    ends = (cut["left_key"], cut["right_key"])
    return any(a in one and b in other for a, b in (ends, ends[::-1]))


def _cut_text(cut: Row) -> str:
    return f"not believed: {because(cut)} ({cut['left_key']}, {cut['right_key']}), since {_PARTED[cut['why']]}"
