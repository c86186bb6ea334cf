"""A served sandbox and a hub over it, in a time that moves only when somebody sleeps. It names no vendor."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from connectors.sandbox.kit import Clock, Emulator, serve
from connectors.sandbox.world import build
from core.config import SHIPPED
from core.http import Transport
from core.model import KINDS
from core.rules import RULES
from jobs.cli import main
from jobs.play import emulator_classes, write_config
from jobs.wiring import Hub, all_connectors, open_hub

NOW = datetime(2026, 6, 30, tzinfo=UTC)
VENDORS = sorted(set(all_connectors()) & set(emulator_classes()))
READS = frozenset({"GET", "HEAD", "OPTIONS"})
RecordKey = tuple[str, str, str, str]  # kind, account, resource, vendor id
Leaves = dict[tuple[str, ...], Any]  # path in the emulators' dumps → value
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")
FRACTION = re.compile(r"-?\d+\.\d+")
STAMPS = re.compile(r"modified|changed|updated", re.IGNORECASE)  # what says when and by whom, not what


@dataclass(frozen=True)
class Standing:
    """What a test plays with. Every account is named like its vendor."""

    emulators: Mapping[str, Emulator]
    truth: Mapping[str, Any]
    config: Path
    hub: Hub
    clock: Clock

    @property
    def home(self) -> Path:
        return self.config.parent

    def requests(self) -> int:
        return sum(sum(e.calls.values()) for e in self.emulators.values())

    def writes(self) -> list[tuple[str, str]]:
        """(method, path) of everything the emulators saw that does more than read."""
        return [
            (method, path)
            for vendor, emulator in self.emulators.items()
            for method, path, _ in emulator.log
            if method not in READS and not (method == "POST" and re.search("|".join(all_connectors()[vendor].safe_posts) or "(?!)", path))
        ]


def loaded(size: int, seed: int, now: datetime, clock: Clock, vendors: Sequence[str] = VENDORS) -> tuple[dict[str, Emulator], Any]:
    """Emulators that show a fresh world, and the truth about it. Their limits go by the clock that is handed in."""
    world = build(size, seed, now=now.isoformat().replace("+00:00", "Z"), vendors=vendors)
    emulators = {name: emulator_classes()[name](world.seeds[name], clock=clock) for name in vendors}
    for emulator in emulators.values():
        if hasattr(emulator, "ticks"):
            emulator.ticks = clock.now
    return emulators, world.truth


@contextmanager
def standing(
    home: Path, *, size: int = 8, seed: int = 7, vendors: Sequence[str] = VENDORS, rules: Collection[str] = ()
) -> Iterator[Standing]:
    """A world of `size` people at NOW. Whoever waits moves the clock on instead, for hub and emulators alike.

    Of the catalogue only `rules` are on, by default none: most of what a plan costs in a small world is asking all of them.
    """
    clock = Clock(NOW.timestamp())
    emulators, truth = loaded(size, seed, NOW, clock, vendors)
    if len(rules) < len(RULES):
        only(rules, home / "mappings" / "funnel.yaml")
    with standing_on(home, emulators, clock, truth) as stood:
        yield stood


@contextmanager
def standing_on(home: Path, emulators: Mapping[str, Emulator], clock: Clock, truth: Mapping[str, Any]) -> Iterator[Standing]:
    """The same over emulators of one's own. What lies in `home` beside the config (mappings, say) is used."""
    with ExitStack() as stack:
        urls = stack.enter_context(serve(list(emulators.values())))
        config = write_config(home, urls)
        stack.enter_context(patch("jobs.wiring.Transport", partial(Transport, sleep=clock.advance, monotonic=clock.now)))
        stack.enter_context(patch("jobs.wiring.datetime", SimpleNamespace(now=lambda zone: clock.utc())))
        hub = stack.enter_context(open_hub(config))
        yield Standing(emulators, truth, config, hub, clock)


def only(rules: Collection[str], funnel: Path) -> None:
    """A funnel as it is shipped in which no other rule is on."""
    off = ", ".join(f"{rule}: {{enabled: false}}" for rule in RULES if rule not in rules)
    funnel.parent.mkdir(exist_ok=True)
    funnel.write_text((SHIPPED / "funnel.yaml").read_text().replace("\nrules: {}", f"\nrules: {{{off}}}"))


def held(hub: Hub) -> tuple[dict[RecordKey, tuple[int, bool]], int]:
    """What the lake holds now: of each record its content hash and whether it is deleted; and the rows of all versions."""
    latest = "arg_max(content_hash, version) AS hash, arg_max(deleted, version) AS deleted, count(*) AS versions"
    rows = rows_of(hub, f"account, resource, vendor_id, {latest}", KINDS, "GROUP BY ALL")
    found = {(r["kind"], r["account"], r["resource"], r["vendor_id"]): (r["hash"], r["deleted"]) for r in rows}
    return found, sum(r["versions"] for r in rows)


def rows_of(hub: Hub, columns: str, kinds: Iterable[str], then: str) -> list[dict[str, Any]]:
    """These columns, and `kind`, of all versions of records of the kinds, in one query: Ibis would compile one for each."""
    with hub.lake.borrowed() as connection:
        tables = {kind: table for kind in kinds if (table := hub.lake.relation(connection, kind)) is not None}
        parts = [f"SELECT '{kind}' AS kind, {columns} FROM {table} {then}" for kind, table in tables.items()]
        found: list[dict[str, Any]] = connection.execute(" UNION ALL ".join(parts)).to_arrow_table().to_pylist() if parts else []
    return found


def contents(hub: Hub) -> dict[RecordKey, tuple[int, bool]]:
    return held(hub)[0]


def versions(hub: Hub) -> int:
    """Rows of all pulled kinds, every version counted."""
    return held(hub)[1]


def live_records(hub: Hub, kinds: Sequence[str] = ("person", "company", "deal")) -> set[tuple[str, str, str]]:
    """(account, resource, vendor id) of records that are neither deleted nor merged away."""
    alive = "GROUP BY ALL HAVING arg_max(NOT deleted AND merged_into IS NULL, version)"
    rows = rows_of(hub, "account, resource, vendor_id", kinds, alive)
    return {(r["account"], r["resource"], r["vendor_id"]) for r in rows}


def true_records(truth: Mapping[str, Any], vendors: Sequence[str] = VENDORS) -> set[tuple[str, str, str]]:
    """The same, as the world's truth has it."""
    rows = [record for group in ("people", "companies", "deals") for thing in truth[group] for record in thing["records"]]
    return {(r[0], r[1], str(r[2])) for r in rows if r[0] in vendors}


def state(emulators: Mapping[str, Emulator]) -> Leaves:
    """All emulators' dumps as path → value, without instants and who wrote last. Empty and absent are one, as are 18000 and "18000.00"."""
    return {path: value for name, e in emulators.items() for path, value in leaves(e.dump(), (name,))}


def leaves(node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            if not STAMPS.search(str(name)):
                yield from leaves(value, (*path, str(name)))
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(node):
            own = (value.get("id") or value.get("Id")) if isinstance(value, Mapping) else None
            yield from leaves(value, (*path, str(own or i)))
    elif node not in (None, "") and not INSTANT.match(str(node)):
        yield path, str(node).rstrip("0").rstrip(".") if FRACTION.fullmatch(str(node)) else str(node)


def own_id(vendor_id: str) -> str:
    """The vendor's own id; ours may have a list's id before it."""
    return vendor_id.rpartition(":")[2]


def differing(one: Leaves, other: Leaves) -> set[tuple[str, ...]]:
    return {path for path in {*one, *other} if one.get(path) != other.get(path)}


@dataclass(frozen=True)
class Said:
    """How a command ended. `json` is its standard output, parsed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def tundish(*args: str | Path, answer: str = "") -> Said:
    """Run a command of the command line in this process, as `tundish ...` would; `answer` is what the user types."""
    out, err = io.StringIO(), io.StringIO()
    typed = patch.object(sys, "stdin", io.StringIO(answer))
    with patch.object(sys, "argv", ["tundish", *map(str, args)]), typed, redirect_stdout(out), redirect_stderr(err):
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Said(code, out.getvalue(), err.getvalue())


def tundish_process(words: Sequence[str], said: str) -> None:
    """What a process of its own runs as its whole life: the command; what it prints goes to the end of a file."""
    log = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.argv = ["tundish", *words]
    main()
