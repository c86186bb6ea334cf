"""A folder of exports and a lake that pulls it, for the tests of the files connector."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pulled import NOW, Place

from connectors.files import CONNECTOR, Session
from core.ledger import Count
from core.mapping import Mapping, compile_mapping

FIELDS = "first_name: Name, email: {path: E-Mail, read: email}, score: Points, created_at: Met"


def mapping(options: str = "key: Id", fields: str = FIELDS, files: str = "in/*", more: str = "") -> Mapping:
    """One table `leads` of persons; `options` of its read, `fields` of its mapping, `more` after them."""
    text = f"""
vendor: files
reads:
  leads: {{like: table, files: "{files}", {options}}}
resources:
  leads:
    kind: person
    fields: {{{fields}}}
{more}
"""
    return compile_mapping(text, CONNECTOR, name="files.yaml", timezone="Europe/Berlin")


@dataclass
class Exports:
    home: Path
    place: Place = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.home / "exports"
        (self.folder / "in").mkdir(parents=True)
        self.place = Place(self.home)
        self.place.toy = Session(self.folder)  # type: ignore[assignment]

    def write(self, name: str, content: str | bytes, *, at: float | None = None, encoding: str = "utf-8") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        if at is not None:
            os.utime(path, (at, at))
        return path

    def pull(self, mapped: Mapping | None = None, **options: Any) -> Count:
        """Pull the one table; what became of it."""
        [count] = self.place.pull(connector=CONNECTOR, mapping=mapped or mapping(), **options).counts
        return count

    def rejects(self) -> list[str]:
        """ "place: reason" of each reject of the last run."""
        return [f"{r.place}: {r.reason}" for r in self.place.ledger.rejects(self.place.run_id)]

    def people(self) -> dict[str, Any]:
        """id → first name of those who live."""
        return self.place.people()

    def column(self, name: str) -> dict[str, Any]:
        rows = self.place.lake.sql(f"SELECT vendor_id, {name} AS x FROM person WHERE NOT deleted").to_pylist()
        return {row["vendor_id"]: row["x"] for row in rows}


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


__all__ = ["FIELDS", "NOW", "Exports", "instant", "mapping"]
