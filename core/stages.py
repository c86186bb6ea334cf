"""Stage tables: what a vendor's stage means on the ladder, on a given day, and which vendor stage means a milestone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from core.mapping_document import StageEntry


@dataclass(frozen=True)
class StageRow:
    """What one vendor stage means between two days (None: no bound)."""

    key: str  # "pipeline/stage" or "stage"
    milestone: str | None
    pipeline_stage: str | None
    outcome: str | None
    valid_from: date | None = None
    valid_to: date | None = None
    preferred: bool = False
    label: str | None = None  # when the line was written
    probability: float | None = None

    def valid(self, day: date | None) -> bool:
        if day is None:
            return self.valid_to is None
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_to is None or day < self.valid_to)


@dataclass(frozen=True)
class StageTable:
    """A vendor's stages by key. `dated` when any meaning changes with time."""

    name: str
    rows: Mapping[str, tuple[StageRow, ...]]
    dated: bool
    current: Mapping[str, StageRow]  # today's meaning per key: one dict look-up per value

    def find(self, pipeline: str | None, stage: str | None, day: date | None = None) -> StageRow | None:
        """The meaning valid on `day` (None: now): by "pipeline/stage", else by the stage alone. None when unmapped."""
        if stage is None:
            return None
        for key in (f"{pipeline}/{stage}", stage) if pipeline is not None else (stage,):
            found = next((row for row in self.rows.get(key, ()) if row.valid(day)), None)
            if found is not None:
                return found
        return None

    def value_for(self, milestone: str, pipeline: str | None = None) -> str | None:
        """The vendor's stage that means this milestone today: the preferred one, else the first written; None when none does."""
        head = "" if pipeline is None else f"{pipeline}/"
        rows = [row for key, row in self.current.items() if key.startswith(head) and row.milestone == milestone]
        if not rows and pipeline is not None:
            return self.value_for(milestone)
        best = next((row for row in rows if row.preferred), rows[0] if rows else None)
        return best.key.removeprefix(head) if best else None


def stage_table(name: str, entries: Mapping[str, list[StageEntry]]) -> StageTable:
    """The table with pipeline stage and outcome filled in from the milestone where they are not written."""
    rows = {key: tuple(_stage_row(key, entry) for entry in versions) for key, versions in entries.items()}
    current = {key: row for key, versions in rows.items() for row in versions if row.valid(None)}
    dated = any(row.valid_from or row.valid_to for versions in rows.values() for row in versions)
    return StageTable(name, rows, dated, current)


_PIPELINE_STAGE = {
    "M35": "Prospecting",
    "M40": "Qualifying",
    "M50": "Prospecting",
    "M60": "Proposing",
    "M70": "Closing",
    "M80": "Won",
    "M85": "Lost",
}
_OUTCOME = {"M80": "won", "M85": "lost"}


def _stage_row(key: str, entry: StageEntry) -> StageRow:
    code = entry.milestone or ""
    outcome = entry.outcome or _OUTCOME.get(code, "open" if code else None)
    stage = entry.stage or _PIPELINE_STAGE.get(code)
    span = (entry.valid_from, entry.valid_to)
    return StageRow(key, entry.milestone, stage, outcome, *span, entry.preferred, entry.label, entry.probability)
