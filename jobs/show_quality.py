"""Marks of counts that their own vendor says are not whole, and what our own numbers are without, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jobs.show_metrics import dimensions, excluded, place
from jobs.show_table import Table, table, text

NAMED = 5  # stages in no mapping that are named before the table
STAGES, UNMAPPED = "What stages mean, and how many stand there", "UNMAPPED"
CLEAN = "no vendor marks its counts as sampled, withheld, folded or old, and none was restated"
COLUMNS = ("account", "report", "mark", "what it means", "values", "of", "days", "first day", "last day")


def quality_table(marks: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        [m["account"], m["report"], m["mark"], _meaning(m), m["values"], m["of"], m["days"], m["first_day"], m["last_day"]] for m in marks
    ]
    return table(COLUMNS, rows, numbers=("values", "of", "days"), title="What vendors say of their own counts")


def _meaning(mark: Mapping[str, Any]) -> str:
    return f"{mark['meaning']} ({mark['sample']})" if mark.get("sample") else str(mark["meaning"])


def quality_text(marks: Sequence[Mapping[str, Any]]) -> str:
    return text(quality_table(marks)) if marks else CLEAN


def stages_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The stage map as the records show it (core.stages_seen.Seen)."""
    lines = [[r["kind"], r["account"], r["resource"], r["pipeline"], r["stage"], _means(r), r["n"]] for r in rows]
    note = "Every live stage, also those nobody stands in: tundish discover ACCOUNT --stages." + (
        " UNMAPPED: add a line to the mapping's `stages:`." if any(r["unmapped"] for r in rows) else ""
    )
    return table(["of", "account", "object", "pipeline", "stage", "means", "here"], lines, numbers=("here",), note=note, title=STAGES)


def stages_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """ "1 of 37 stages is in no mapping; 3 records stand there." """
    bare = [r for r in rows if r["unmapped"]]
    if not bare:
        return f"All {len(rows)} stages that anybody stands in are mapped."
    names = [" / ".join(filter(None, (r["account"], r["pipeline"], r["stage"]))) for r in bare[:NAMED]]
    said = ", ".join([*names, *(["…"] if len(bare) > NAMED else [])])
    return f"{len(bare)} of {len(rows)} stages in no mapping ({said}); {sum(r['n'] for r in bare):,} records stand there."


def _means(row: Mapping[str, Any]) -> str:
    if row["unmapped"]:
        return UNMAPPED
    milestone, stage = place(row["milestone"] or ""), row["pipeline_stage"] or ""
    return f"{milestone}, {stage}" if stage and not milestone.endswith(stage) else milestone


def left_out_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """ "12 of 640 persons are colleagues or tests, …": who is in no number (jobs.left_out); "nobody" for none."""
    return ", ".join(f"{row['n']:,} of {row['of']:,} {row['what']}" for row in rows) or "nobody"


def fresh_text(freshness: Mapping[str, str]) -> str:
    """ "hubspot, vwo 2026-06-30 02:00; files 2026-06-29 02:00": accounts by when they were last read whole, to the minute."""
    at: dict[str, list[str]] = {}
    for account, when in sorted(freshness.items(), key=lambda pair: pair[1], reverse=True):
        at.setdefault(when[:16].replace("T", " "), []).append(account)
    if len(at) == 1 and len(freshness) > 3:
        return f"all {len(freshness)} accounts {next(iter(at))}"
    return "; ".join(f"{', '.join(accounts)} {when}" for when, accounts in at.items()) or "no account"


def missing_table(metrics: Sequence[Mapping[str, Any]]) -> Table | None:
    """What the funnel and the pipeline are without, each as a share of what they are about; None where nothing is missing."""
    opened = [(str(row["name"]), dimensions(row), row) for row in metrics]
    lines = [[what, int(n), int(of), f"{100 * n / of:.1f} %"] for what, n, of in (*_persons(opened), *_deals(opened)) if n and of]
    numbers = ("rows", "of", "share")
    return table(("left out", *numbers), lines, numbers=numbers, title="What the numbers are without") if lines else None


Opened = Sequence[tuple[str, Mapping[str, str], Mapping[str, Any]]]


def _persons(opened: Opened) -> Iterator[tuple[str, float, float]]:
    """(what, rows left out, rows in all) of the funnel."""
    standing = [row for name, dims, row in opened if name == "stage_count" and dims.get("basis") == "current"]
    if standing:
        unstaged = float(excluded(standing[0]).get("no stage", 0))
        yield (
            "persons without a stage: none, or one no mapping names (G-01)",
            unstaged,
            unstaged + sum(float(row["value"] or 0) for row in standing),
        )
    for name, dims, row in opened:
        if name == "reach" and (dims["cohort"], dims["mode"], dims["to"]) == ("all", "implied", dims["from"]):
            for why, n in excluded(row).items():
                yield f"persons of the cohorts: {why}", float(n), float(row["denominator"] or 0) + float(n)


def _deals(opened: Opened) -> Iterator[tuple[str, float, float]]:
    """The same of the pipeline."""
    deals = {dims["stage"]: float(row["value"] or 0) for name, dims, row in opened if name == "open_deals"}
    sums = [(dims, row) for name, dims, row in opened if name == "pipeline_value"]
    whole = sum(deals.values())
    ours = {dims.get("currency") for dims, _ in sums if dims["stage"] == "all"}
    yield "open deals whose stage no mapping names (G-01)", deals.get("(unmapped)", 0.0), whole
    foreign = [float(row["n"] or 0) for dims, row in sums if dims["stage"] != "all" and dims.get("currency") not in ours]
    yield "open deals in another currency than the report's", sum(foreign), whole
    blank = next((excluded(row).get("no amount or probability", 0) for dims, row in sums if dims["stage"] == "all"), 0)
    yield "open deals without an amount", float(blank), whole
