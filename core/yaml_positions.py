"""YAML with positions: plain data, and for every key and value the line and column it was written at.

Safe by construction: only maps, lists and scalars are built, dates stay text, and custom tags are refused.
It knows nothing of what the data means.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from core.errors import UserError

Loc = tuple[str | int, ...]
Position = tuple[int, int]  # line and column, both from 1
MAX_NODES = 100_000  # an alias bomb stops here
_TAG = "tag:yaml.org,2002:"
_PLAIN = {_TAG + name for name in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "value")}
MAX_DEPTH = 50
_MOST_BYTES = 4_000_000  # far above any mapping; a wrong file is refused before minutes of parsing
_WORDS = {"true": True, "false": False}


@dataclass
class Document:
    """One file's data with positions, and the mistakes found in it so far."""

    name: str
    data: Any = None
    keys: dict[Loc, Position] = field(default_factory=dict)
    values: dict[Loc, Position] = field(default_factory=dict)
    blocks: set[Loc] = field(default_factory=set)  # maps and lists; the rest are single values
    mistakes: list[tuple[Position, str]] = field(default_factory=list)
    _nodes: int = 0

    def position(self, loc: Sequence[str | int], key: bool = False) -> Position:
        """Where `loc` was written; the nearest parent when it was not written at all."""
        path = tuple(loc)
        first, second = (self.keys, self.values) if key else (self.values, self.keys)
        while path and path not in first and path not in second:
            path = path[:-1]
            first, second = (self.keys, self.values) if path in self.blocks else (self.values, self.keys)
        return first.get(path) or second.get(path) or (1, 1)

    def where(self, loc: Sequence[str | int], key: bool = False) -> str:
        line, column = self.position(loc, key)
        return f"{self.name}:{line}:{column}"

    def wrong(self, loc: Sequence[str | int], message: str, key: bool = False) -> None:
        """Note one mistake at `loc`; the same mistake at the same place counts once."""
        found = (self.position(loc, key), message)
        if found not in self.mistakes:
            self.mistakes.append(found)

    def lines(self) -> list[str]:
        return [f"{self.name}:{line}:{column}: {message}" for (line, column), message in sorted(self.mistakes)]


def raise_mistakes(documents: Iterable[Document]) -> None:
    """Nothing when all is well. Raises: UserError with one line per mistake of all the documents."""
    lines = [line for document in documents for line in document.lines()]
    if lines:
        raise UserError("\n".join(lines))


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """ "; did you mean 'x'?" for the nearest known word, else the list of known words when it is short, else ""."""
    names = sorted(set(known))
    lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(str(word).lower(), list(lower), n=1, cutoff=0.6)
    if near:
        return f"; did you mean {lower[near[0]]!r}?"
    return f" (known: {', '.join(names)})" if 0 < len(names) <= 20 else ""


def read_yaml(path: Path | str, name: str | None = None) -> Document:
    """The document in the file. Duplicate keys and custom tags are noted as mistakes of the document.

    Raises: UserError when the file is missing, not UTF-8, or not YAML (one line, with the position).
    """
    shown = name or _shown(Path(path))
    try:
        if Path(path).stat().st_size > _MOST_BYTES:
            raise UserError(f"this file is larger than {_MOST_BYTES:,} bytes", where=shown, next_step="is it the right file?")
        text = Path(path).read_text(encoding="utf-8")
    except OSError as e:
        step = "check the path, or write one with `tundish init`"
        raise UserError(f"cannot read this file: {e.strerror}", where=shown, next_step=step) from e
    except UnicodeDecodeError as e:
        raise UserError("this file is not UTF-8 text", where=shown, next_step="save it as UTF-8") from e
    return parse_yaml(text, shown)


def parse_yaml(text: str, name: str) -> Document:
    """The document in the text; `name` is what messages call it."""
    document = Document(name)
    try:
        root = _composed(text)
    except MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise UserError(f"{name}:{line}:{column}: not valid YAML: {e.problem or e.context}") from e
    except (YAMLError, RecursionError) as e:  # a character no text may have; brackets in brackets without end
        reason = "nested too deep" if isinstance(e, RecursionError) else str(e).strip().splitlines()[0]
        raise UserError(f"not valid YAML: {reason}", where=name) from e
    if root is not None:
        document.data = _build(document, root, ())
    return document


@lru_cache(maxsize=64)
def _composed(text: str) -> Node | None:
    """The text's nodes, which nobody changes. Three quarters of opening a hub were spent here, on the same files again and again."""
    root: Node | None = YAML(typ="safe", pure=True).compose(text)
    return root


def _shown(path: Path) -> str:
    """The path as the user would type it: relative to the working directory when it lies below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _build(document: Document, node: Node, loc: Loc) -> Any:
    document.values[loc] = (node.start_mark.line + 1, node.start_mark.column + 1)
    document._nodes += 1
    if document._nodes > MAX_NODES:
        raise UserError(f"more than {MAX_NODES} values; is there an alias that repeats itself?", where=document.name)
    if len(loc) > MAX_DEPTH:
        raise UserError(f"nested deeper than {MAX_DEPTH}; is there an alias that contains itself?", where=document.name)
    if str(node.tag) not in _PLAIN:
        document.wrong(loc, f"the tag {node.tag} is not allowed")
        return str(node.value)
    if not isinstance(node, ScalarNode):
        document.blocks.add(loc)
    if isinstance(node, MappingNode):
        return _build_map(document, node, loc)
    if isinstance(node, SequenceNode):
        return [_build(document, item, (*loc, i)) for i, item in enumerate(node.value)]
    return _scalar(node)


def _build_map(document: Document, node: MappingNode, loc: Loc) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key_node, value_node in node.value:
        here = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        key = str(key_node.value) if isinstance(key_node, ScalarNode) else None
        if key is None or key in data:
            message = "a key must be a word" if key is None else f"duplicate key {key!r} (first on line {document.keys[(*loc, key)][0]})"
            document.mistakes.append((here, message))
            continue
        document.keys[(*loc, key)] = here
        data[key] = _build(document, value_node, (*loc, key))
    return data


def _scalar(node: Node) -> Any:
    kind, text = str(node.tag).removeprefix(_TAG), str(node.value)
    if kind == "null":
        return None
    if kind == "bool":
        return _WORDS.get(text.lower(), text)
    if kind in ("int", "float"):
        return _number(text, kind)
    return text


def _number(text: str, kind: str) -> Any:
    plain = text.replace("_", "")
    try:
        return int(plain, 0 if plain[:2].lower() in ("0x", "0o", "0b") else 10) if kind == "int" else float(plain)
    except ValueError:  # .inf, .nan and the like: nothing here wants them
        return text
