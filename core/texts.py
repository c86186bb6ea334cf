"""Texts of compiled queries, by a fingerprint of what compiled them: in this process, and in the user's cache for the next one.

Nothing is lost with them: who cannot read or write the cache compiles again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import orjson
from platformdirs import user_cache_path

from core.thresholds import Question, answers

CACHE = "TUNDISH_CACHE"  # environment: the folder, where it is not the user's usual one
_VARIANTS = 4  # texts of one query: as many funnels that differ in what it asks
_LIVING = 16  # fingerprints whose texts a process keeps
_KEPT = 32  # and the cache: an older version of the program may be in use beside this one
_texts: dict[str, Texts] = {}


class Text(NamedTuple):
    """One compiled query: what it asked the funnel, a digest of the answers, and the columns it has (name and Ibis's type)."""

    sql: str
    asked: tuple[Question, ...]
    told: str
    columns: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, sql: str, asked: Iterable[Question], funnel: Any, columns: Iterable[tuple[str, str]]) -> Text:
        questions = tuple(sorted(asked))
        return cls(sql, questions, digest(answers(funnel, questions)), tuple(columns))

    def fits(self, funnel: Any) -> bool:
        return self.told == digest(answers(funnel, self.asked))


class Texts:
    """Of each query those that were compiled last."""

    def __init__(self, kept: Mapping[str, Iterable[Text]] | None = None) -> None:
        self._by_name = {name: list(texts) for name, texts in (kept or {}).items()}
        self._new = False

    def find(self, name: str, funnel: Any) -> Text | None:
        return next((text for text in reversed(self._by_name.get(name, ())) if text.fits(funnel)), None)

    def add(self, name: str, text: Text) -> None:
        self._by_name[name] = [*self._by_name.get(name, ()), text][-_VARIANTS:]
        self._new = True

    def save(self, key: str) -> None:
        """To the cache, when there is anything it does not know."""
        if not self._new:
            return
        self._new = False
        kept = {name: [list(text) for text in texts] for name, texts in self._by_name.items()}
        with suppress(OSError):
            folder = _folder()
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with TemporaryDirectory(dir=folder) as own:
                (Path(own) / "texts").write_bytes(orjson.dumps(kept))
                os.replace(Path(own) / "texts", folder / f"{key}.json")
            for old in sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime)[:-_KEPT]:
                old.unlink()


def texts_of(key: str) -> Texts:
    """The texts that live under the fingerprint."""
    found = _texts.pop(key, None) or _from_cache(key)
    _texts[key] = found  # the one used last stands last
    for oldest in list(_texts)[:-_LIVING]:
        del _texts[oldest]
    return found


def digest(*parts: object) -> str:
    return blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def _folder() -> Path:
    return Path(os.environ.get(CACHE) or user_cache_path("tundish")) / "queries"


def _from_cache(key: str) -> Texts:
    try:
        kept = orjson.loads((_folder() / f"{key}.json").read_bytes())
        return Texts({name: [_text(*text) for text in texts] for name, texts in kept.items()})
    except (OSError, ValueError, TypeError, AttributeError):
        return Texts()


def _text(sql: str, asked: Iterable[Iterable[Any]], told: str, columns: Iterable[Iterable[Any]]) -> Text:
    return Text(sql, tuple(map(tuple, asked)), told, tuple(map(tuple, columns)))
