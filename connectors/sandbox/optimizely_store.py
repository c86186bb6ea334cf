"""What the emulated Optimizely knows: entities, who was shown what, what they did, and the history of changes. No HTTP."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connectors.sandbox.optimizely_wire import Row, gone, stamp

ENTITIES = ("projects", "experiments", "campaigns", "events", "pages", "audiences", "environments", "flags", "rules", "reports")


@dataclass(frozen=True)
class Seen:
    """A decision: the visitor was shown this variation of this experiment. `at` in milliseconds."""

    experiment: int
    variation: int
    campaign: int
    at: int
    holdback: bool = False


@dataclass(frozen=True)
class Done:
    """An event of a visitor. `cents` is revenue in hundredths. `own` are the decisions sent along when they are not looked up."""

    event: int
    at: int
    cents: int | None = None
    value: float | None = None
    uuid: str = ""
    own: tuple[Seen, ...] | None = None


class Store:
    """One account. `version` counts what could move results."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.account: Row = {"id": 0, "name": ""}
        self.kinds: dict[str, dict[int, Row]] = {kind: {} for kind in ENTITIES}
        self.seen: dict[str, list[Seen]] = defaultdict(list)
        self.done: dict[str, list[Done]] = defaultdict(list)
        self.shown_in: dict[int, set[str]] = defaultdict(set)  # experiment → visitors
        self.changes: list[Row] = []
        self.uuids: set[str] = set()
        self.version = 0

    def load(self, seed: Mapping[str, Any]) -> None:
        self.account = dict(seed["account"])
        for kind in ENTITIES:
            self.kinds[kind] = {row["id"]: dict(row) for row in seed.get(kind, ())}
        layers = {e["id"]: e["campaign_id"] for e in self.kinds["experiments"].values()}
        layers |= {r["layer_experiment_id"]: r["layer_id"] for r in self.kinds["rules"].values() if "layer_id" in r}
        for visitor, experiment, variation, at in seed.get("decisions", ()):
            self.decide(visitor, Seen(experiment, variation, layers[experiment], at), reconfigured=True)
        for visitor, event, at, cents in seed.get("conversions", ()):
            self.done[visitor].append(Done(event, at, cents))
        for experiment in self.kinds["experiments"].values():
            self._changed("create", "experiment", experiment, _seconds(experiment["created"]))
            if "earliest" in experiment:
                self._changed("publish", "experiment", experiment, _seconds(experiment["earliest"]))
        self.changes.sort(key=lambda change: str(change["created"]))

    # -- entities ----------------------------------------------------------------------------------------------------------
    def project(self, id: int, *, flags: bool | None = None) -> Row:
        """Raises: Refusal (404) for one that is not there, or not of the kind that is asked for."""
        row = self.kinds["projects"].get(id)
        if row is None or (flags is not None and row["is_flags_enabled"] is not flags):
            raise gone()
        return row

    def of_project(self, kind: str, project: int) -> list[Row]:
        return [row for _, row in sorted(self.kinds[kind].items()) if row["project_id"] == project]

    def one(self, kind: str, id: int) -> Row:
        try:
            return self.kinds[kind][id]
        except KeyError:
            raise gone() from None

    def update(self, kind: str, id: int, values: Mapping[str, Any], change: str = "update") -> None:
        """As somebody does it in the vendor's application: the row, its stamp, and the change history."""
        row = self.one(kind, id)
        stamped = "updated_time" if "updated_time" in row else "last_modified"
        row |= {**values, stamped: stamp(self.now())}
        self._changed(change, kind.removesuffix("s"), row, self.now())
        self.version += 1

    def create(self, kind: str, row: Row) -> Row:
        made: Row = {"id": max(self.kinds[kind], default=1) + 2, "created": stamp(self.now()), "last_modified": stamp(self.now())} | row
        self.kinds[kind][made["id"]] = made
        self._changed("create", kind.removesuffix("s"), made, self.now())
        return made

    def delete(self, kind: str, id: int) -> None:
        row = self.one(kind, id)
        del self.kinds[kind][id]
        self._changed("delete", kind.removesuffix("s"), row, self.now())

    def _changed(self, change: str, kind: str, row: Row, at: float) -> None:
        self.changes.append(
            {
                "id": 7_700_000_000_000_001 + len(self.changes),
                "project_id": row["project_id"] if "project_id" in row else row["id"],
                "change_type": change,
                "created": stamp(at),
                "entity": {"type": kind, "id": row["id"], "name": row.get("name", ""), "sub_type": row.get("type")},
                "source": "ui",
                "summary": f"{change.capitalize()}d {kind}",
                "user": {"id": "u-17", "email": "ada@lumen-loom.example", "display_name": "Ada"},
            }
        )

    # -- visitors ----------------------------------------------------------------------------------------------------------
    def decide(self, visitor: str, seen: Seen, *, reconfigured: bool = False) -> None:
        """The first decision for an experiment stays: bucketing is sticky, unless the running experiment was reconfigured.

        Source: https://docs.developers.optimizely.com/web-experimentation/docs/how-bucketing-works, read 2026-11-25
        """
        before = {s.variation for s in self.seen[visitor] if s.experiment == seen.experiment}
        if not before or (reconfigured and seen.variation not in before):
            self.shown_in[seen.experiment].add(visitor)
            self.seen[visitor].append(seen)
            self.version += 1

    def hear(self, visitor: str, done: Done) -> None:
        """Replays, known by their uuid, count once."""
        if done.uuid and done.uuid in self.uuids:
            return
        self.uuids.add(done.uuid)
        self.done[visitor].append(done)
        self.version += 1

    def event_of(self, entity: str | None, key: str | None) -> Row | None:
        """The event a conversion means: by its entity id, else by its key (of the first project that has one)."""
        events: Iterable[Row] = self.kinds["events"].values()
        if entity and entity.isdecimal():
            return self.kinds["events"].get(int(entity))
        return next((e for e in events if key and e["key"] == key and not e["archived"]), None)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
