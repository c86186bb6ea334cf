"""Where a command's answer goes and in which format: `--format`, `--output` and `--json`, the same everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click


@dataclass(frozen=True)
class Output:
    """A format, and a file ("" is standard output)."""

    format: str
    file: str = ""

    def write(self, text: str) -> None:
        if not self.file:
            click.echo(text, nl=not text.endswith("\n"))
            return
        with open(self.file, "w", encoding="utf-8", newline="") as file:  # CSV brings its own line ends
            file.write(text if text.endswith("\n") else f"{text}\n")
        click.echo(f"wrote {self.file}")

    def stream(self, parts: Iterable[str]) -> None:
        """The same of a text that comes in parts, each of which is written at once."""
        if not self.file:
            for part in parts:
                click.echo(part, nl=False)
            return
        with open(self.file, "w", encoding="utf-8", newline="") as file:
            file.writelines(parts)
        click.echo(f"wrote {self.file}")

    def write_json(self, data: Mapping[str, Any]) -> None:
        import json

        self.write(json.dumps(data, indent=2, default=str, ensure_ascii=False))


def place(file: str) -> None:
    """Nothing for a file whose folder is there, so that nobody waits for what cannot be written. Raises: UserError."""
    folder = Path(file).parent
    if file and not folder.is_dir():
        from core.errors import UserError

        raise UserError(f"{folder}: no such folder for {Path(file).name}", next_step="make the folder, or name a file in another")


def output_options(formats: Sequence[str]) -> Callable[[Any], Any]:
    """The options that become one parameter `output`; the first format is the default."""

    def decorate(f: Any) -> Any:
        @click.option("--format", "format_", type=click.Choice(formats), default=formats[0], show_default=True)
        @click.option("--output", "-o", "file", type=click.Path(dir_okay=False), default="", help="Write to this file.")
        @click.option("--json", "as_json", is_flag=True, help="Same as --format json.")
        @wraps(f)
        def command(*args: Any, format_: str, file: str, as_json: bool, **named: Any) -> Any:
            place(file)
            return f(*args, output=Output("json" if as_json else format_, file), **named)

        return command

    return decorate
