"""What a user wrote, checked: a pydantic model of a YAML document, with every mistake noted at its position.

Where pydantic stops at the first broken branch, the broken values are cut off and the rest is checked too, so that
later checks (unknown fields, stages, resources) can report their mistakes in the same breath.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from core.yaml_positions import Document, Loc, did_you_mean

M = TypeVar("M", bound=BaseModel)


class Written(BaseModel):
    """A block a person writes. Unknown keys are mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, use_attribute_docstrings=True)


def check(document: Document, model: type[M]) -> M | None:
    """The model of the document's sound parts; None when nothing sound is left. Mistakes are noted on the document."""
    data = _copy(document.data if document.data is not None else {})
    for attempt in range(50):
        try:
            return model.model_validate(data)
        except ValidationError as e:
            noted: set[tuple[str | int, ...]] = set()  # a union complains once per member: the first is enough
            for error in e.errors(include_url=False):
                loc = _written_loc(document.data, error["loc"], error["type"] == "missing")
                if loc not in noted and attempt == 0:  # later ones come from our own cutting
                    _note(document, model, error, loc)
                noted.add(loc)
                if not _cut(data, loc, error["type"] == "missing"):
                    return None
    return None


def check_part(document: Document, model: type[M], data: Any, at: Loc) -> M | None:
    """The model of `data`, which stands at `at` of the document; None, and its mistakes noted there, when it has any."""
    try:
        return model.model_validate(data)
    except ValidationError as e:
        for error in e.errors(include_url=False):
            _note(document, model, error, _written_loc(data, error["loc"], error["type"] == "missing"), at)
        return None


def _note(document: Document, model: type[BaseModel], error: ErrorDetails, inner: Sequence[str | int], at: Loc = ()) -> None:
    loc = (*at, *inner)
    kind, last = error["type"], str(error["loc"][-1]) if error["loc"] else ""
    if kind == "extra_forbidden":
        known = _keys_at(model, inner[:-1])
        document.wrong(loc, f"unknown key {last!r}{did_you_mean(last, known)}", key=True)
    elif kind == "missing":
        document.wrong(loc, f"the key {last!r} is missing", key=True)
    elif kind in ("literal_error", "enum"):
        allowed = str(error["ctx"]["expected"]).replace(" or ", ", ").replace("'", "").split(", ")
        document.wrong(loc, f"unknown value {error['input']!r}{did_you_mean(error['input'], allowed)}")
    elif kind == "too_short" and "min_length" in error.get("ctx", {}):
        document.wrong(loc, f"at least {error['ctx']['min_length']} are needed, {error['ctx']['actual_length']} given")
    else:
        message = str(error["msg"]).removeprefix("Value error, ")
        document.wrong(loc, next((plain for start, plain in _EXPECTED.items() if kind.startswith(start)), message))


# pydantic's words for a value of the wrong type, in ours.
_EXPECTED = {
    "model_": "expected a block of keys",
    "dict_": "expected a block of keys",
    "list_": "expected a list",
    "string_type": "expected a text",
    "bool_": "expected true or false",
    "int_": "expected a whole number",
    "float_": "expected a number",
}


def _written_loc(data: Any, loc: Sequence[str | int], missing: bool) -> tuple[str | int, ...]:
    """`loc` without the steps pydantic adds for its own purposes (names of union members, `[key]`)."""
    steps: list[str | int] = []
    for i, step in enumerate(loc):
        if step in (data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ()):
            data = data[step]
        elif missing and i == len(loc) - 1:
            pass  # a missing key keeps its name; its position is the parent's
        else:
            continue
        steps.append(step)
    return tuple(steps)


def _cut(data: Any, loc: Sequence[str | int], missing: bool) -> bool:
    """Take the value at `loc` out of `data`, or its parent when a key is missing there. False when that is the root.

    Items of a list keep their numbers, which are their places: a block is emptied, and when that does not help the
    whole list goes.
    """
    path = list(loc[:-1] if missing else loc)
    while path and isinstance(path[-1], int) and not _emptied(data, path):
        path.pop()
    if not path:
        return False
    if isinstance(path[-1], str):
        parent = _at(data, path[:-1])
        if isinstance(parent, dict):
            parent.pop(path[-1], None)
    return True


def _emptied(data: Any, path: Sequence[str | int]) -> bool:
    item = _at(data, path)
    if not isinstance(item, dict) or not item:
        return False
    item.clear()
    return True


def _at(data: Any, path: Sequence[str | int]) -> Any:
    """The value there, None when an outer one was cut already."""
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _copy(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _copy(value) for key, value in data.items()}
    return [_copy(value) for value in data] if isinstance(data, list) else data


def _keys_at(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """The keys a user may write at `loc` of `model`."""
    here: list[Any] = [model]
    for step in loc:
        here = [inner for outer in here for inner in _inside(outer, step)]
    here = [member for outer in here for member in _unlisted(outer)]
    return [info.alias or name for m in here if _is_model(m) for name, info in m.model_fields.items()]


def _unlisted(outer: Any) -> list[Any]:
    """What stands in a list, for a list of one may be written without its dash; else the thing itself."""
    return _members(get_args(outer)[0]) if get_origin(outer) is list else [outer]


def _inside(outer: Any, step: str | int) -> list[Any]:
    if _is_model(outer):
        return [m for name, info in outer.model_fields.items() if step in (name, info.alias) for m in _members(info.annotation)]
    origin, args = get_origin(outer), get_args(outer)
    if origin is dict:
        return _members(args[1])
    if origin is list and not isinstance(step, int):  # a list of one may be written without its dash
        return [inner for member in _members(args[0]) for inner in _inside(member, step)]
    return _members(args[0]) if origin is list else []


def _members(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [m for part in get_args(annotation) for m in _members(part)]
    return [annotation]


def _is_model(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, BaseModel)
