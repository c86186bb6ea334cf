"""The emulated portal's state: records, their property history, merges and archives. No HTTP in here.

Seeds are shared between tests, so a record's dictionaries are replaced on a write, never changed in place.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from connectors.sandbox import hubspot_schema as schema
from connectors.sandbox.kit import Clock

Key = Any  # int, or str when the portal orders ids as text


class Refused(Exception):
    """HubSpot's own refusal: becomes the error envelope."""

    def __init__(self, status: int, category: str, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.status, self.category, self.message, self.extra = status, category, message, extra


@dataclass(slots=True)
class Thing:
    """One CRM record. `past` are older (updated, properties) pairs, for a search index that lags."""

    id: str
    props: dict[str, Any]
    created: str
    updated: str
    archived: bool = False
    archived_at: str | None = None
    history: dict[str, list[dict[str, Any]]] | None = None
    past: list[tuple[str, dict[str, Any]]] | None = None


@lru_cache(maxsize=200_000)
def millis(text: str) -> int:
    """Epoch milliseconds of an ISO instant, a plain date or epoch milliseconds written as text. Raises ValueError."""
    if text.lstrip("-").isdigit():
        return int(text)
    at = datetime.fromisoformat(text)
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


class Table:
    """The records of one object type, with their ids in the server's order."""

    def __init__(self, kind: str, text_ids: bool) -> None:
        self.kind = kind
        self.key: type = str if text_ids else int
        self.rows: dict[str, Thing] = {}
        self.live: list[Key] = []
        self.dead: list[Key] = []
        self.gone: dict[str, str] = {}  # loser → survivor
        self.version = 0
        self._by_time: list[tuple[int, Key]] = []
        self._by_time_version = -1
        self._unique: dict[str, dict[str, str]] = {}
        self._unique_version = -1

    def fill(self, things: Iterable[Thing]) -> None:
        self.rows = {t.id: t for t in things}
        self.live = sorted(self.key(t.id) for t in self.rows.values() if not t.archived)
        self.dead = sorted(self.key(t.id) for t in self.rows.values() if t.archived)
        self.version += 1

    def add(self, thing: Thing) -> None:
        self.rows[thing.id] = thing
        insort(self.dead if thing.archived else self.live, self.key(thing.id))
        self.version += 1

    def drop(self, thing: Thing) -> None:
        ids = self.dead if thing.archived else self.live
        ids.pop(bisect_left(ids, self.key(thing.id)))
        self.version += 1

    def after(self, last: str | None, count: int, archived: bool) -> tuple[list[Thing], bool]:
        """Up to `count` records behind `last`, and whether more follow."""
        ids = self.dead if archived else self.live
        start = bisect_right(ids, self.key(last)) if last is not None else 0
        return [self.rows[str(k)] for k in ids[start : start + count]], start + count < len(ids)

    def by_time(self) -> list[tuple[int, Key]]:
        """Live ids with their modification instant, oldest first; rebuilt after writes."""
        if self._by_time_version != self.version:
            self._by_time = sorted((millis(self.rows[str(k)].updated), k) for k in self.live)
            self._by_time_version = self.version
        return self._by_time

    def unique(self, name: str, value: str) -> Thing | None:
        """The live record that holds a value of a unique property (contacts' e-mail is one)."""
        if self._unique_version != self.version:
            self._unique, self._unique_version = {}, self.version
        if name not in self._unique:
            index: dict[str, str] = {}
            for k in self.live:
                if held := self.rows[str(k)].props.get(name):
                    index.setdefault(str(held).lower(), str(k))
            self._unique[name] = index
        found = self._unique[name].get(value.lower())
        return self.rows.get(found) if found else None


class Store:
    """Everything in one portal."""

    def __init__(self, clock: Clock, *, text_ids: bool = False, merge_mints_ids: bool = False) -> None:
        self.clock = clock
        self.merge_mints_ids = merge_mints_ids
        self.tables = {kind: Table(kind, text_ids) for kind in schema.TYPES}
        self.properties = {kind: schema.properties(kind) for kind in schema.TYPES}
        self.groups: dict[str, dict[str, str]] = {kind: {schema.group(kind): f"{one} information"} for kind, one in schema.SINGULAR.items()}
        self.pipelines = schema.pipelines()
        self.owners: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.links: dict[tuple[str, str], dict[str, dict[str, set[tuple[str, int]]]]] = {}
        self.minted = 0

    def now(self) -> str:
        return iso(self.clock.utc())

    def load(self, seed: Mapping[str, Any]) -> None:
        self.owners = [dict(o) for o in seed.get("owners", ())]
        self.events = [dict(e) for e in seed.get("events", ())]
        self.pipelines.update({kind: list(given) for kind, given in seed.get("pipelines", {}).items()})
        for kind, rows in seed.get("objects", {}).items():
            table = self.tables[kind]
            table.gone = {r["id"]: r["merged_into"] for r in rows if r.get("merged_into")}
            table.fill(_thing(r) for r in rows if not r.get("merged_into"))
            self._learn(kind, rows)
        for kind, given in seed.get("properties", {}).items():
            for p in given:
                self.properties[kind][p["name"]] = self.own_property(kind, p)
        for option in seed.get("lifecycle", ()):
            for kind in ("contacts", "companies"):  # one life cycle for both
                options = self.properties[kind]["lifecyclestage"]["options"]
                options.append({"displayOrder": len(options), "hidden": False, **option})
        for link in seed.get("associations", ()):
            category = link.get("category", "HUBSPOT_DEFINED")
            self.link(link["from_type"], link["from_id"], link["to_type"], link["to_id"], int(link["type_id"]), category)

    def _learn(self, kind: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """A property some seeded record carries exists, even if the seed does not define it."""
        seen: set[str] = set()
        for row in rows:
            seen.update(row["properties"])
        for name in sorted(seen - self.properties[kind].keys()):
            self.properties[kind][name] = schema.definition(name, "string", group=schema.group(kind))

    def own_property(self, kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """A user's property, completed as the properties endpoint shows it."""
        spec = given.get("type", "string") + ("!" if given.get("calculated") else "")
        more = {"label": given.get("label", ""), "group": given.get("groupName") or schema.group(kind), "options": given.get("options")}
        base = schema.definition(given["name"], spec, **more)
        own = {k: given[k] for k in ("fieldType", "hasUniqueValue", "description") if k in given}
        return {**base, **own, "hubspotDefined": False}

    # -- records ---------------------------------------------------------------------------------------------------
    def find(self, kind: str, oid: str, id_property: str | None = None) -> Thing | None:
        table = self.tables[kind]
        if id_property and id_property != "hs_object_id":
            if not self.properties[kind].get(id_property, {}).get("hasUniqueValue"):
                raise Refused(400, "VALIDATION_ERROR", f"Unable to perform the operation by non-unique {kind} property '{id_property}'")
            return table.unique(id_property, oid)
        if oid not in table.rows and kind == "contacts":  # an old contact id leads to the survivor
            while oid in table.gone:
                oid = table.gone[oid]
        return table.rows.get(oid)

    def change(
        self, kind: str, thing: Thing, values: Mapping[str, Any], *, at: str | None = None, source: str = "INTEGRATION", by: str = "sandbox"
    ) -> None:
        """Store checked values: bump the modification stamp, put history entries on top, newest first."""
        at = at or self.now()
        if thing.past is None:
            thing.past = []
        thing.past.append((thing.updated, thing.props))
        history = dict(thing.history or {})
        for name, value in values.items():
            if value == thing.props.get(name):
                continue
            entry = {"value": value or "", "timestamp": at, "sourceType": source, "sourceId": by}
            history[name] = [entry, *self.history_of(thing, name)]
        thing.history, thing.props, thing.updated = history, {**thing.props, **values}, at
        self.tables[kind].version += 1

    def create(self, kind: str, values: Mapping[str, Any]) -> Thing:
        at = self.now()
        taken = max((int(k) for k in [*self.tables[kind].live[-1:], *self.tables[kind].dead[-1:]]), default=0)
        self.minted = max(self.minted + 1, taken + 1, 900_000_001)
        thing = Thing(str(self.minted), {}, at, at)
        self.tables[kind].add(thing)
        self.change(kind, thing, values, at=at)
        thing.past = None
        return thing

    def archive(self, kind: str, oid: str, at: str | None = None) -> bool:
        """Archived records keep their modification stamp: that is why increments never show them."""
        table = self.tables[kind]
        thing = table.rows.get(oid)
        if thing is None or thing.archived:
            return False
        table.drop(thing)
        thing.archived, thing.archived_at = True, at or self.now()
        insort(table.dead, table.key(oid))
        return True

    def merge(self, kind: str, winner: str, loser: str) -> str:
        """The loser's id vanishes from everywhere; the survivor names it. Gives the survivor's id (a new one if so set)."""
        table = self.tables[kind]
        kept, lost = table.rows.get(winner), table.rows.get(loser)
        if kept is None or lost is None or kept is lost:
            raise Refused(404 if kept is None or lost is None else 400, "OBJECT_NOT_FOUND", "merge needs two existing records")
        table.drop(lost)
        del table.rows[loser]
        names = [kept.props.get("hs_merged_object_ids"), loser, lost.props.get("hs_merged_object_ids")]
        filled = {n: v for n, v in lost.props.items() if v and not kept.props.get(n)}
        if self.merge_mints_ids and kind != "contacts":
            table.drop(kept)
            del table.rows[winner]
            names.insert(0, winner)
            kept.id = self.create(kind, {}).id
            table.rows[kept.id] = kept
            table.gone[winner] = kept.id
        table.gone[loser] = kept.id
        self.change(kind, kept, {**filled, "hs_merged_object_ids": ";".join(dict.fromkeys(n for n in names if n))}, source="MERGE_OBJECTS")
        self._relink(kind, loser, kept.id)
        return kept.id

    def history_of(self, thing: Thing, name: str) -> list[dict[str, Any]]:
        """All values the property had, newest first; one entry at creation when the seed tells no more."""
        if thing.history and name in thing.history:
            return thing.history[name]
        value = thing.props.get(name)
        if value in (None, ""):
            return []
        return [{"value": value, "timestamp": thing.created, "sourceType": "IMPORT", "sourceId": "seed"}]

    # -- associations ----------------------------------------------------------------------------------------------
    def link(self, source: str, sid: str, target: str, tid: str, type_id: int, category: str = "HUBSPOT_DEFINED") -> None:
        back = schema.opposite(source, target, type_id)
        for a, x, b, y, t in ((source, sid, target, tid, type_id), (target, tid, source, sid, back)):
            self.links.setdefault((a, b), {}).setdefault(x, {}).setdefault(y, set()).add((category, t))

    def unlink(self, source: str, sid: str, target: str, tid: str) -> None:
        for a, x, b, y in ((source, sid, target, tid), (target, tid, source, sid)):
            self.links.get((a, b), {}).get(x, {}).pop(y, None)

    def _relink(self, kind: str, loser: str, winner: str) -> None:
        for (source, target), edges in list(self.links.items()):
            if source == kind and loser in edges:
                for tid, types in list(edges[loser].items()):
                    self.unlink(kind, loser, target, tid)
                    for category, type_id in types:
                        self.link(kind, winner, target, tid, type_id, category)

    def stage(self, kind: str, pipeline: str | None, stage: str | None) -> dict[str, Any] | None:
        for p in self.pipelines.get(kind, ()):
            if p["id"] == pipeline:
                return next((s for s in p["stages"] if s["id"] == stage), None)
        return None


def _thing(row: Mapping[str, Any]) -> Thing:
    return Thing(
        str(row["id"]),
        row["properties"],
        row["createdAt"],
        row["updatedAt"],
        bool(row.get("archived")),
        row.get("archivedAt"),
        row.get("history"),
    )
