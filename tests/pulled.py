"""A vendor of a few lines for the tests of pulling: rows in memory, pages of JSON, faults on demand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.connector import Ask, Connector, Page, Resource
from core.lake import Lake
from core.ledger import Ledger
from core.mapping import Mapping, compile_mapping
from core.pull import AccountResult, pull_account

NOW = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
MAPPING = """
vendor: toy
version: 1
resources:
  people:
    - kind: person
      fields:
        email: {path: email, read: email}
        first_name: name
        updated_at: {path: at, read: datetime}
        deleted: {path: gone, read: boolean}
        merged_ids: {path: merged, read: list}
  firms:
    - kind: company
      fields: {name: name, employees: {path: size, read: integer}}
"""


def person(number: int, name: str = "Ann", **more: Any) -> dict[str, Any]:
    return {"id": str(number), "name": name, "email": f"p{number}@example.com", "at": "2026-05-01T00:00:00Z", **more}


@dataclass
class Toy:
    """The vendor's state and how it answers. `before_page` is called with (resource, page number) and may raise."""

    people: list[dict[str, Any]] = field(default_factory=list)
    firms: list[dict[str, Any]] = field(default_factory=list)
    page_size: int = 3
    total_offset: int = 0
    before_page: Callable[[str, int], None] = lambda resource, page: None
    asked: list[Ask] = field(default_factory=list)

    def read(self, name: str, ask: Ask) -> Iterator[Page]:
        self.asked.append(ask)
        rows: Sequence[dict[str, Any]] = getattr(self, name)
        start = 0 if ask.state is None else int(ask.state["next"])
        pages = range(start, max(start + 1, len(rows)) if not start else len(rows), self.page_size)
        for i, at in enumerate(pages):
            self.before_page(name, i)
            body = json.dumps({"rows": rows[at : at + self.page_size]}).encode()
            yield Page(body, "rows", {"v": 1, "next": at + self.page_size}, total=len(rows) + self.total_offset, present=True)


def connector(**people: Any) -> Connector:
    resources = (
        Resource("people", lambda toy, ask: toy.read("people", ask), stamped=True, **people),
        Resource("firms", lambda toy, ask: toy.read("firms", ask), after=("people",), stamped=True),
    )
    nothing: Any = None
    return Connector("toy", "Toy", "https://example.com", "2026-06-01", (), (), nothing, nothing, nothing, resources)


def mapping(text: str = MAPPING) -> Mapping:
    return compile_mapping(text, connector())


@dataclass
class Place:
    """A ledger and a lake in a folder, and a pull into them."""

    folder: Path
    toy: Toy = field(default_factory=Toy)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.folder / "ledger.db")
        self.lake = Lake(self.folder / "lake", self.ledger, memory="200MB", threads=1)

    def pull(self, *, now: datetime = NOW, **options: Any) -> AccountResult:
        self.run_id = self.ledger.start_run("sync", now)
        vendor, mapped = options.pop("connector", None) or connector(), options.pop("mapping", None) or mapping()
        arguments = {"account": "toy", "now": now, "elapsed": lambda: 0.0} | options
        return pull_account(vendor, self.toy, mapped, self.ledger, self.lake, self.run_id, **arguments)

    def people(self, as_of: datetime | None = None) -> dict[str, str]:
        """vendor id → first name of the people who live."""
        rows = self.lake.sql("SELECT vendor_id, first_name, deleted, merged_into FROM person ORDER BY vendor_id", as_of).to_pylist()
        return {row["vendor_id"]: row["first_name"] for row in rows if not row["deleted"] and row["merged_into"] is None}

    def versions(self) -> int:
        return int(self.lake.versions("person").count().execute())

    def close(self) -> None:
        self.lake.close()
        self.ledger.close()
