"""A run over a lake and a ledger without a row: everything a rule may look at is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unified_rows import NOW

from core.compiled import Compiled, as_of, over
from core.facts import facts
from core.ledger import Ledger
from core.ledger_facts import ledger_facts
from core.model import KINDS
from core.resolve import resolve
from core.rules import Context
from core.stage_map import stage_map


def empty_run(home: Path, funnel: Any) -> tuple[Context, Compiled]:
    run = over({}, funnel)
    known = facts({}, resolve({}, funnel, compiled=run).members, funnel, NOW, run)
    ledger = Ledger(home / "ledger.db")
    try:
        known |= ledger_facts(ledger, {}, run, NOW) | {"stage_map": run.give("fact.stage_map", stage_map({}))}
    finally:
        ledger.close()
    return Context({kind: run.tables[f"record.{kind}"] for kind in KINDS}, known, funnel, NOW, clock=as_of()), run
