"""The sandbox as the jobs use it: a world, its emulators on loopback, and a config that points at them."""

from __future__ import annotations

import importlib
import json
import pkgutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import connectors.sandbox
from connectors.sandbox.kit import Clock, Emulator, Fault, serve
from connectors.sandbox.world import build

EXPIRING = "refresh token"  # the way to sign in whose tokens expire, at emulators that also know one whose token never does


@dataclass(frozen=True)
class Playground:
    urls: Mapping[str, str]
    emulators: Mapping[str, Emulator]
    truth: Mapping[str, Any]
    now: datetime
    config: Path


@cache
def emulator_classes() -> dict[str, type[Emulator]]:
    """Every emulator in connectors.sandbox, by vendor name; found, not listed."""
    found: dict[str, type[Emulator]] = {}
    for module in pkgutil.iter_modules(connectors.sandbox.__path__):
        if "_" in module.name or module.name in ("kit", "world"):
            continue
        loaded = importlib.import_module(f"connectors.sandbox.{module.name}")
        for value in vars(loaded).values():
            if isinstance(value, type) and issubclass(value, Emulator) and value is not Emulator and value.__module__ == loaded.__name__:
                found[value.name] = value
    return dict(sorted(found.items()))


@contextmanager
def playground(
    home: Path, *, size: int = 60, seed: int = 7, now: datetime | None = None, faults: Sequence[Fault] = (), ports: Sequence[int] = ()
) -> Iterator[Playground]:
    """A served sandbox whose config, secrets, truth and state live under `home`. `now` stands still only if given."""
    at = now or datetime.now(UTC).replace(microsecond=0)
    world = build(size, seed, now=at.isoformat().replace("+00:00", "Z"))
    clock = Clock(now.timestamp() if now else None)
    emulators = {name: cls(world.seeds[name], clock=clock) for name, cls in emulator_classes().items() if name in world.seeds}
    for name, emulator in emulators.items():
        emulator.faults.extend(replace(f) for f in faults if f.vendor in ("", name))
    with serve(list(emulators.values()), ports=ports) as urls:
        home.mkdir(parents=True, exist_ok=True)
        (home / "truth.json").write_text(json.dumps(world.truth, indent=1))
        yield Playground(
            urls,
            emulators,
            world.truth,
            at,
            write_config(home, urls, {n for n, e in emulators.items() if any(f.kind == "expire" for f in e.faults)}),
        )


def write_config(home: Path, urls: Mapping[str, str], expiring: Set[str] = frozenset()) -> Path:
    """A config for the served emulators, with the sandbox's keys in files beside it. `expiring`: vendors whose token is to expire."""
    secrets = home / "secrets"
    secrets.mkdir(parents=True, exist_ok=True)
    lines = ["organisation: {name: Lumen & Loom (sandbox), timezone: Europe/Berlin, currency: EUR}", "accounts:"]
    for name, url in urls.items():
        lines += [f"  {name}:", f"    vendor: {name}", "    settings:"]
        emulator = emulator_classes()[name]
        keys = emulator.ways.get(EXPIRING, emulator.secrets(url)) if name in expiring else emulator.secrets(url)
        for key, value in keys.items():
            (secrets / f"{name}.{key}").write_text(value)
            lines.append(f"      {key}: file:secrets/{name}.{key}")
        lines += [f"      {key}: {json.dumps(value)}" for key, value in emulator.settings(url).items()]
    lines += [
        textwrap.dedent("""\
        lake: state/lake
        ledger: state/ledger.db
        jobs:
          nightly: {schedule: "0 2 * * *", steps: [sync, reconcile, measure, plan, apply], apply: auto}
        """).rstrip()
    ]
    path = home / "config.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path
