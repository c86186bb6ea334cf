"""The only composition root: config and environment in, open hub out. Everything concrete meets here and nowhere else."""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import connectors
from core.apply import Hand
from core.config import Setup, load_setup
from core.connector import Bucket, Connector, Target
from core.errors import UserError
from core.http import Transport
from core.lake import Lake
from core.ledger import Ledger
from core.ledger_pace import take_turn
from core.pipeline import Line
from core.plan import Limits
from core.redaction import redact
from core.storage import trouble

_LAKES = ("file://", "s3://", "gs://", "az://", "abfss://")


@cache
def all_connectors() -> Mapping[str, Connector]:
    """Every connector in `connectors/`, by vendor name: found, not listed."""
    found: dict[str, Connector] = {}
    for module in pkgutil.iter_modules(connectors.__path__):
        if not module.ispkg and "_" not in module.name:
            connector = getattr(importlib.import_module(f"connectors.{module.name}"), "CONNECTOR", None)
            if connector is not None:
                found[connector.name] = connector
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class Open:
    """One account, open: the vendor's client over our transport. `targets`: those whose settings are given."""

    name: str
    connector: Connector
    session: Any
    transport: Transport
    targets: Mapping[str, Target]


class Hub:
    """An open config: ledger, lake, and accounts on demand. Read-only unless an account is opened with `writes`."""

    def __init__(self, setup: Setup, *, clock: Any = None) -> None:
        self.setup = setup
        self.config = setup.config
        self.clock = clock or (lambda: datetime.now(UTC))
        self.connectors = {name: all_connectors()[a.vendor] for name, a in setup.config.accounts.items()}
        if setup.config.engine != "duckdb":
            problem = f"engine {setup.config.engine!r} is not available yet"
            raise UserError(problem, where=str(setup.config.path), next_step="engine: duckdb")
        self.ledger = self._open_ledger(self._ledger_url())
        self.lake = Lake(_lake_place(setup), self.ledger, memory=setup.config.limits.memory)
        limits = setup.config.limits
        self.line = Line(
            self.ledger, self.lake, setup.funnel, self.connectors, setup.mappings,
            Limits(limits.max_changes, limits.max_share, limits.share_floor, limits.max_drop, limits.plan_expires_h, limits.rewrite_h),
            setup.identity,
        )  # fmt: skip

    def _ledger_url(self) -> str:
        url = self.config.ledger_url(os.environ)
        if url.startswith("sqlite:///"):
            Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        return url

    def _open_ledger(self, url: str) -> Ledger:
        """Raises: UserError when there is no such database, or nothing that can speak with it."""
        from sqlalchemy.exc import ArgumentError, DatabaseError

        if "://" in url and not url.startswith(("sqlite:", "postgres")):
            raise UserError("the ledger is an SQLite file or a postgresql:// URL", where=str(self.config.path))
        try:
            return Ledger(url)
        except (DatabaseError, ArgumentError, ImportError) as problem:
            told = trouble(problem)
            reason = redact(str(problem)).strip().splitlines()[0]
            step = "install tundish[postgres]" if isinstance(problem, ImportError) else told.next_step if told else "check `ledger:`"
            what = f"the ledger {_shown(url)} cannot be opened: {reason}" if told is None else f"{told.message} ({_shown(url)})"
            raise UserError(what, where=str(self.config.path), next_step=step) from problem

    def close(self) -> None:
        self.lake.close()
        self.ledger.close()

    def accounts(self, names: Sequence[str] = ()) -> list[str]:
        """The named accounts, or all. Raises: UserError for a name the config does not have."""
        return [self.config.account(n).name for n in names] or list(self.config.accounts)

    @contextmanager
    def account(self, name: str, *, writes: bool = False) -> Iterator[Open]:
        """Open one account. Raises: CredentialsError naming the setting that is missing or wrong."""
        connector = self.connectors[name]
        settings = self.config.settings(name, connector, os.environ)

        def slot(bucket: Bucket) -> float:
            return take_turn(self.ledger, name, bucket.name, bucket.window_s, self.clock())

        with Transport(
            name, buckets=connector.buckets, fault=connector.fault, safe_posts=connector.safe_posts, writes=writes,
            read_limits=connector.read_limits, slot=slot,
        ) as transport:  # fmt: skip
            targets = {t.name: t for t in connector.targets if all(settings.get(need) for need in t.needs)}
            yield Open(name, connector, connector.open(settings, transport), transport, targets)

    @contextmanager
    def hands(self, *, writes: bool = False, names: Sequence[str] = ()) -> Iterator[dict[str, Hand]]:
        """Sessions and targets of every account that may be pushed to (`push: false` accounts have none)."""
        with ExitStack() as stack:
            hands = {}
            for name in self.accounts(names):
                if not self.config.account(name).push or not self.connectors[name].targets:
                    continue
                opened = stack.enter_context(self.account(name, writes=writes))
                hands[name] = Hand(opened.session, opened.targets)
            yield hands


def _shown(url: str) -> str:
    """The ledger's place without its password."""
    return url.removeprefix("sqlite:///") if url.startswith("sqlite:") else url.rpartition("@")[2]


def _lake_place(setup: Setup) -> str:
    """Raises: UserError for an address the lake cannot be at."""
    place = setup.config.lake
    if "://" not in place:
        Path(place).mkdir(parents=True, exist_ok=True)
    elif not place.startswith(_LAKES):
        problem = f"the lake cannot be at {place.partition('://')[0]}://"
        raise UserError(problem, where=str(setup.config.path), next_step=f"a folder, or one of {', '.join(_LAKES)}")
    return place


@contextmanager
def open_hub(config_path: str | Path, *, clock: Any = None) -> Iterator[Hub]:
    """The hub of a config file. Raises: UserError with every mistake of config, mappings and funnel at once."""
    if not Path(config_path).exists():
        raise UserError(f"no config file {config_path}", next_step="write one with `tundish init`, or try `tundish demo`")
    hub = Hub(load_setup(config_path, all_connectors()), clock=clock)
    try:
        yield hub
    finally:
        hub.close()
