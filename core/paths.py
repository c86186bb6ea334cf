"""Paths of a mapping: `properties.email` in the row (or in the item of an exploded list), `^.id` in the row around the item,
`context.list_id` in what the page says about all its rows. Numbers are positions in a list, unless they come first, where
they are a name; a dot at the end belongs to the name (`Tel.`, a column of a table)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scope = Literal["row", "item", "context"]


@dataclass(frozen=True)
class Path:
    scope: Scope
    parts: tuple[str | int, ...]

    @property
    def text(self) -> str:
        """The path inside its scope, as vendors write it: `properties.email`."""
        return ".".join(map(str, self.parts))


def parse_path(text: str, exploded: bool) -> Path:
    """The path in `text`, where `exploded` says that plain paths are inside an item. Raises: ValueError on an empty step."""
    bare = text.rstrip(".")
    first, *steps = bare.split(".")
    parts: list[str | int] = [first, *(int(step) if step.isdecimal() else step for step in steps)]
    if bare and bare != text:
        parts[-1] = f"{parts[-1]}{text[len(bare) :]}"
    scope: Scope = "item" if exploded else "row"
    if parts[0] == "^":
        if not exploded:
            raise ValueError("^ leads out of a list item; this record has no `each`")
        scope, parts = "row", parts[1:]
    elif parts[0] == "context":
        scope, parts = "context", parts[1:]
    if not parts or "" in parts:
        raise ValueError(f"{text!r} is not a path; write names with dots between them")
    return Path(scope, tuple(parts))
