"""A run over a lake and a ledger without a row: everything a rule may look at is there."""

from __future__ import annotations

from typing import Any

from unified_rows import NOW

from core.compiled import Compiled, as_of, over
from core.facts import facts
from core.model import KINDS
from core.reconcile import complete
from core.resolve import resolve
from core.rules import Context


def empty_run(funnel: Any) -> tuple[Context, Compiled]:
    run = over({}, funnel)
    known = complete(facts({}, resolve({}, funnel, compiled=run).members, funnel, NOW, run), run)
    return Context({kind: run.tables[f"record.{kind}"] for kind in KINDS}, known, funnel, NOW, clock=as_of()), run
