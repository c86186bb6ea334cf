"""What a report contains, before any format: the parts a name selects, masked findings, and sections of tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs import show, show_ageing, show_findings, show_metrics, show_pivots, show_plan, show_quality, show_sync
from jobs.report.charts.experiments import at_a_glance
from jobs.show_marks import marked
from jobs.show_private import without_people
from jobs.show_steps import AHEAD
from jobs.show_table import Table, table

# A report's name → the keys of `data` it shows. Metrics are cut down to the family of the same name.
_PARTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(show_metrics.FAMILIES, ("metrics",)),
    "funnel": ("entities", "metrics"),
    "pipeline": ("metrics", "board"),
    "findings": ("findings", "silence", "agreement", "set_aside", "truth", "ageing", "trend", "resolved"),
    "records": ("records", "sync", "rejects", "entities"),
    "quality": ("quality", "stages"),
    "plan": ("plan", "apply", "undo"),
    "all": (
        "entities",
        "metrics",
        "board",
        "quality",
        "stages",
        "findings",
        "silence",
        "agreement",
        "set_aside",
        "truth",
        "ageing",
        "trend",
        "resolved",
        "plan",
        "apply",
        "undo",
        "records",
        "sync",
        "rejects",
    ),
}
NAMES = tuple(_PARTS)
HEAD = ("organisation", "as_of", "freshness", "left_out")
TITLES = {
    "funnel": "Funnel", "breakdown": "Funnel, broken down", "pipeline": "Pipeline", "movement": "Movement of deals", "winrate": "Win rate",
    "sources": "Sources", "attribution": "Attribution", "experiments": "Experiments", "forecast": "Forecast",
    "backtest": "Backtest of the forecast", "waterfall": "Waterfall",
    "retention": "Retention", "score": "Lead scores", "next": "Next steps",
}  # fmt: skip


@dataclass(frozen=True)
class Section:
    """One heading and its tables. `key` is the anchor; `first` is read before all else, `more` are tables a page may fold away."""

    key: str
    title: str
    tables: tuple[Table, ...]
    text: str = ""
    more: tuple[Table, ...] = ()
    first: tuple[Table, ...] = ()


def parts_of(name: str) -> tuple[str, ...]:
    """The keys of `data` a report shows."""
    return _PARTS[name]


def selected(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Only what the report shows, findings opened and masked; absent and None parts are left out."""
    out = {key: data[key] for key in (*HEAD, *_PARTS[name]) if data.get(key) is not None}
    if name in show_metrics.FAMILIES:
        out["metrics"] = show_metrics.of_family(out.get("metrics", ()), name)
    if "metrics" in out:
        opened_rows = marked(out["metrics"], data.get("quality") or ())
        out["metrics"] = [{**row, "dimensions": show_metrics.dimensions(row)} for row in opened_rows]
    for part in ("findings", "set_aside"):
        if part in out:
            opened = [show_findings.opened(f) for f in out[part]]
            out[part] = sorted(opened, key=lambda f: (str(f.get("severity")), str(f.get("rule"))))
    if "rejects" in out:
        out["rejects"] = [{**r, "reason": without_people(str(r.get("reason", "")))} for r in out["rejects"]]
    return out


def sections(data: Mapping[str, Any], name: str = "") -> list[Section]:
    """The selected data as sections, in reading order. Empty ones are left out, but for the families the report `name` is about."""
    made = [
        _entities(data),
        *_metrics(data, name),
        *_quality(data),
        *_findings(data),
        *_agreement(data),
        *through_time(data),
        *_plan(data),
        *_outcomes(data),
        *_records(data),
    ]
    return [s for s in made if s.tables or s.text or s.key in _expected(data, name)]


def _expected(data: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Families whose section says what is missing, where there is nothing else to say."""
    if "metrics" not in data or not name:
        return ()
    return tuple(f for f in show_metrics.families(None if name == "all" else name) if f != "backtest" or name == "all")


def _entities(data: Mapping[str, Any]) -> Section:
    rows = sorted((data.get("entities") or {}).items())
    return Section("entities", "Who is who", (table(["entity", "number"], rows, numbers=["number"]),) if rows else ())


def _metrics(data: Mapping[str, Any], name: str) -> list[Section]:
    rows = data.get("metrics") or []
    return [_family(family, title, rows) for family, title in TITLES.items() if rows or family in _expected(data, name)]


def _family(name: str, title: str, rows: Sequence[Mapping[str, Any]]) -> Section:
    rows = [row for row in rows if row["family"] == name]
    tables = tuple(show_pivots.tables(rows, name, detail=False))
    first = tuple(t for t in tables if t.title in AHEAD)
    if name == "experiments" and (glance := at_a_glance({"metrics": rows})):
        first = (glance,)
    more = tuple(show_pivots.further_tables(rows, name))
    return Section(name, title, tuple(t for t in tables if t not in first), more=more, first=first)


def _quality(data: Mapping[str, Any]) -> list[Section]:
    if "quality" not in data:
        return []
    marks: Sequence[Mapping[str, Any]] = data["quality"]
    shown = (show_quality.quality_table(marks),) if marks else ()
    missing = show_quality.missing_table(data.get("metrics") or ())
    said = "" if marks else f"{show_quality.CLEAN.capitalize()}."
    made = [Section("quality", "Data quality", shown, said, first=(missing,) if missing else ())]
    return [*made, _stages(data["stages"])] if data.get("stages") else made


def _stages(rows: Sequence[Mapping[str, Any]]) -> Section:
    return Section("stages", "Stage map", (show_quality.stages_table(rows),), show_quality.stages_text(rows))


def _findings(data: Mapping[str, Any]) -> list[Section]:
    if "findings" not in data:
        return []
    findings: Sequence[Mapping[str, Any]] = data["findings"]
    summary = () if data.get("truth") else (show_findings.summary_table(findings),)  # the truth's table counts them too
    made = (*summary, findings_table(findings)) if findings else ()
    out = [Section("findings", "Findings", made, "" if findings else data.get("silence") or "The systems agree.")]
    aside = data.get("set_aside", ())
    said = tuple(t for t in (show_findings.notes_table([*findings, *aside]), show_findings.set_aside_table(aside)) if t)
    out += [Section("notes", "What people said", said)] if said else []
    if data.get("truth"):
        out.append(Section("truth", "Against the ground truth", (show_findings.truth_table(data["truth"], findings),)))
    return out


def _agreement(data: Mapping[str, Any]) -> list[Section]:
    rows = data.get("agreement")
    if rows is None:
        return []
    shown, said = ((show_sync.agreement_table(rows),), "") if rows else ((), "No two accounts know the same person, company or deal.")
    return [Section("agreement", "How far the systems agree", shown, said)]


def through_time(data: Mapping[str, Any]) -> list[Section]:
    """The findings' ages, trend and what was resolved."""
    made: list[tuple[str, str, list[Table | None]]] = []
    if data.get("ageing"):
        ageing = data["ageing"]
        made.append(("ageing", "Ages and limits", [show_ageing.ageing_table(ageing["severities"]), show_ageing.over_table(ageing["over"])]))
    if data.get("trend") or data.get("resolved"):
        tables = [show_ageing.trend_table(data.get("trend") or ()), show_ageing.resolved_table(data.get("resolved") or ())]
        made.append(("trend", "Findings through time", tables))
    return [Section(key, title, tuple(t for t in tables if t)) for key, title, tables in made]


def findings_table(findings: Sequence[Mapping[str, Any]]) -> Table:
    """Every finding in full (already masked)."""
    f = show_findings
    columns = (
        "severity", "rule", "finding", "field", "values", "since", "first seen", "fix or question", "records", "entity", "id", "status",
    )  # fmt: skip
    rows = [
        [r.get("severity"), r.get("rule"), r.get("title"), r.get("field"), f.values(r), f.day(r.get("since")), f.day(r.get("first_seen")),
         f.remedy(r), f.keys(r),
         r.get("entity_id"), r.get("finding_id"), r.get("status")]
        for r in findings
    ]  # fmt: skip
    last = len(columns) if any(r.get("status") != "open" for r in findings) else -1  # all open goes without saying
    return table(columns[:last], [row[:last] for row in rows])


def _plan(data: Mapping[str, Any]) -> list[Section]:
    plan = data.get("plan")
    if not plan:
        return []
    made = [*show_plan.change_tables(plan), show_plan.notes_table(plan), show_plan.held_table(plan)]
    refused = "".join(f" Refused: {reason}." for reason in plan.get("refusals", ()))
    first, *others = show_plan.head(plan)
    said = " ".join(f"{line[0].upper()}{line[1:]}." for line in (f"{first}, {len(plan.get('held', ()))} held back", *others))
    return [Section("plan", "Plan", tuple(t for t in made if t), f"{said}{refused}")]


def _outcomes(data: Mapping[str, Any]) -> list[Section]:
    titles = {"apply": "Applied", "undo": "Taken back"}
    return [
        Section(key, title, (table(["outcome", "number"], sorted(data[key].items()), numbers=["number"]),))
        for key, title in titles.items()
        if data.get(key)
    ]


def _records(data: Mapping[str, Any]) -> list[Section]:
    out = [Section("sync", "Exchange with the accounts", (show_sync.exchange_table(data["sync"]),))] if data.get("sync") else []
    if data.get("records"):
        out.append(Section("records", "Rows pulled", (show.records_table(data["records"]),)))
    if data.get("rejects"):
        rows = [[r.get("vendor_id"), r.get("place"), r["reason"]] for r in data["rejects"]]
        out.append(Section("rejects", "Rows that could not be used", (table(["row", "mapping", "reason"], rows),)))
    return out
