"""docs/traps.md names, for every known trap, tests that exist; a line without one says why."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
LINE = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
NAMED = re.compile(r"`(tests/\w+\.py)::(\w+)`")


def lines() -> list[tuple[int, str, str]]:
    return [(int(number), trap, guard) for number, trap, guard in LINE.findall((ROOT / "docs/traps.md").read_text())]


@cache
def defined(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


def test_the_table_has_every_trap_once_in_order() -> None:
    assert [number for number, _, _ in lines()] == list(range(1, 115))


def test_every_test_it_names_exists() -> None:
    missing = [
        f"{number}: {path}::{name}" for number, _, guard in lines() for path, name in NAMED.findall(guard) if name not in defined(path)
    ]
    assert missing == []


def test_a_trap_without_a_test_says_why() -> None:
    bare = [number for number, _, guard in lines() if not NAMED.search(guard) and not re.fullmatch(r"none: .{20,}", guard)]
    assert bare == []
    assert [number for number, _, guard in lines() if guard.startswith("none: ")] == [31, 32, 34, 37, 55, 63]
