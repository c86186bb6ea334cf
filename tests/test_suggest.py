"""Suggestions by a trained model: who is asked about, and that nobody is linked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from unified_rows import NOW, row, tables

from core.compiled import over
from core.errors import UserError
from core.facts import facts
from core.resolve import resolve
from core.suggest import SUGGESTIONS, suggest

FIRST = ["ada", "bo", "cem", "dalia", "edda", "finn", "gita", "hana", "ida", "kai"]
LAST = ["bergen", "castell", "dahl", "elster", "farrow", "galt", "hale", "ivers", "jansen", "lark", "moor"]


def persons(n: int) -> list[dict[str, Any]]:
    """n persons of as many companies; the first twelve stand twice, once with a private address."""
    rows = []
    for i in range(n):
        first, last = FIRST[i % 10], LAST[(i // 3) % 11]
        own = {"first_name": first, "last_name": last, "phone": f"+31 20 {5_000_000 + i}"}
        rows.append(row("person", "hubspot", f"{i:03}", email=f"{first}.{last}@firm{i}.example", **own))
        if i < 12:
            rows.append(row("person", "salesforce", f"x{i:03}", email=f"{first}{i}@gmail.com", **own))
    return rows


def suggested(rows: list[dict[str, Any]]) -> pa.Table:
    known = tables(person=rows)
    run = over(known, {})
    members = resolve(known, {}, compiled=run).members
    return suggest(facts(known, members, {}, NOW, run), {}, 0.9)


def test_pairs_are_asked_about_with_a_weight_and_the_same_ones_again() -> None:
    pytest.importorskip("splink")
    found = suggested(persons(120))
    pairs = {(r["left_key"].split(":")[2], r["right_key"].split(":")[2]) for r in found.to_pylist()}
    twice = {tuple(sorted((f"{i:03}", f"x{i:03}"))) for i in range(12)}
    assert twice <= {tuple(sorted(pair)) for pair in pairs}
    weights = [r["match_weight"] for r in found.to_pylist()]
    assert weights == sorted(weights, reverse=True)
    assert suggested(persons(120)).equals(found)


def test_nobody_and_few_are_no_mistake() -> None:
    pytest.importorskip("splink")
    assert suggested([]).num_rows == 0
    assert suggested(persons(2)[:2]).schema == SUGGESTIONS


def test_without_splink_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "splink", None)
    with pytest.raises(UserError, match="Splink") as told:
        suggest({}, {}, 0.9)
    assert "tundish[suggest]" in (told.value.next_step or "")
