"""docs/files.md runs as it stands: its files are written, its commands run, and what it shows of their output is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox_hub import tundish

PAGE = Path(__file__).parent.parent / "docs" / "files.md"
FILE = re.compile(r"^```(?:csv|yaml) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(text: str) -> Iterator[tuple[list[str], list[str]]]:
    """(words of the command, lines of its output that the page shows)."""
    for block in CONSOLE.findall(text):
        for part in block.split("$ tundish ")[1:]:
            first, *shown = part.splitlines()
            yield first.split(), shown


def folded(text: str) -> str:
    return re.sub(r"[ ]+", " ", text)


def test_the_whole_line_runs_on_exports_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = PAGE.read_text()
    files = dict(FILE.findall(text))
    assert len(files) == 5
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    ran = 0
    for words, shown in commands(text):
        said = tundish(*words)
        assert said.code == 0, said.err
        for line in shown:
            out = folded(said.out.replace(f"{tmp_path}/", ""))
            assert folded(line).strip() in out, (words, line, out)
        ran += 1
    assert ran == 6
