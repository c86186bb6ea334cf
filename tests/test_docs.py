"""The documentation's examples run as they stand."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = re.compile(r"^```(python|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> Iterator[tuple[str, int, str]]:
    """(language, line of the page, text) of each example."""
    text = page.read_text()
    for found in BLOCK.finditer(text):
        yield found[1], text.count("\n", 0, found.start(2)), found[2]


@pytest.fixture
def page_module(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    module = ModuleType("docs_page")
    monkeypatch.setitem(sys.modules, "docs_page", module)  # dataclasses look their module up
    return vars(module)


def test_the_connector_tutorial_builds_a_working_connector(page_module: dict[str, Any]) -> None:
    page = DOCS / "adding-a-connector.md"
    for language, line, text in blocks(page):
        if language == "yaml":
            page_module["MAPPING"] = text
        else:
            exec(compile("\n" * line + text, str(page), "exec"), page_module)
    assert page_module["CONNECTOR"].name == "pigeonpost"
