"""The steps of a job up to the plan, each over an open hub; `jobs.write_back` carries plans out. Commands and jobs call them alike."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from core.change import Plan
from core.errors import TundishError, UserError
from core.ledger import Count
from core.measure import FAMILIES
from core.pipeline import Understanding, make_plan, measured, understand
from core.plan import SourceSize
from core.pull import AccountResult, in_waves, pull_account
from core.retention import retain
from jobs import show
from jobs.choosing import EVERYTHING, Choice
from jobs.leases import held, running
from jobs.show_table import tame
from jobs.wiring import Hub

STOP = threading.Event()  # set by a signal: finish the page in hand, then end


@dataclass(frozen=True)
class SyncResult:
    """One sync run. `problems` are accounts that could not be read at all, with the reason."""

    run_id: str
    status: str
    counts: tuple[Count, ...]
    problems: Mapping[str, TundishError] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """The most urgent problem's code; 3 when something is missing; 0 only when everything adds up."""
        codes = {p.exit_code for p in self.problems.values()}
        for urgent in (5, 2, 6):
            if urgent in codes:
                return urgent
        return 0 if self.status == "done" else 3

    def to_json(self) -> dict[str, Any]:
        problems = {name: {"error": p.message, "where": p.where, "next": p.next_step} for name, p in self.problems.items()}
        return {
            "run": self.run_id,
            "status": self.status,
            "exit": self.exit_code,
            "records": [asdict(c) for c in self.counts],
            "problems": problems,
        }

    def text(self) -> str:
        lines = [show.records_text([asdict(c) for c in self.counts])]
        lines += [f"{name}: {tame(str(problem))}" for name, problem in self.problems.items()]
        lines.append(f"sync {self.status} ({self.run_id})")
        return "\n".join(lines)


def run_sync(
    hub: Hub,
    *,
    accounts: Sequence[str] = (),
    full: bool = False,
    since: datetime | None = None,
    resources: Sequence[str] = (),
    quiet: bool = False,
    new_lake: bool = False,
) -> SyncResult:
    """Pull accounts side by side; one account's trouble never stops another. `new_lake`: the old one is lost, begin anew.

    Raises: UserError when the lake is not the ledger's.
    """
    names = hub.accounts(accounts)
    _check_resources(hub, names, resources)
    if new_lake:
        hub.lake.begin_anew()
    hub.lake.kinds()  # looks at every table: a lake that is not the ledger's is told before any account is asked
    with running(hub.ledger, "sync", hub.clock, {"accounts": names, "full": full}) as run_id:
        return _sync(hub, run_id, names, full, since, resources, quiet)


def _sync(
    hub: Hub, run_id: str, names: Sequence[str], full: bool, since: datetime | None, resources: Sequence[str], quiet: bool
) -> SyncResult:
    problems: dict[str, TundishError] = {}

    def one(name: str, on_progress: Callable[..., None]) -> None:
        try:
            with hub.account(name) as opened:
                result = _pull(hub, opened, run_id, full, since, resources, on_progress)
            if result.error is not None:
                problems[name] = result.error
        except TundishError as problem:
            problems[name] = problem

    try:
        with show.Progress("sync", quiet=quiet) as progress, ThreadPoolExecutor(hub.config.limits.workers) as pool:
            for part in in_waves(names, lambda name: hub.connectors[name]):
                for future in [pool.submit(one, name, progress.step) for name in part]:
                    future.result()
    except BaseException:
        with suppress(Exception):  # the ledger itself may be the trouble
            hub.ledger.end_run(run_id, "failed", hub.clock(), {"accounts": names})
        raise
    counts = tuple(hub.ledger.counts(run_id))
    status = "done" if not problems and all(c.status == "done" for c in counts) else "partial" if counts else "failed"
    hub.ledger.end_run(run_id, status, hub.clock(), {"accounts": names, "problems": {n: p.message for n, p in problems.items()}})
    return SyncResult(run_id, status, counts, problems)


def _pull(
    hub: Hub, opened: Any, run_id: str, full: bool, since: datetime | None, resources: Sequence[str], on_progress: Any
) -> AccountResult:
    only = set(resources) or set(hub.config.account(opened.name).resources or ()) or None
    return pull_account(
        opened.connector, opened.session, hub.setup.mappings[opened.name], hub.ledger, hub.lake, run_id, account=opened.name,
        now=hub.clock(), full=full, since=since, only=only, on_progress=on_progress, stop=STOP,
        extra_overlap_s=hub.config.limits.extra_overlap_s,
    )  # fmt: skip


def _check_resources(hub: Hub, names: Sequence[str], resources: Sequence[str]) -> None:
    from core.yaml_positions import did_you_mean

    known = {r.name for name in names for r in hub.connectors[name].readable(hub.setup.mappings[name].reads)}
    for resource in resources:
        if resource not in known:
            raise UserError(f"no resource {resource!r}{did_you_mean(resource, known)}", next_step=f"one of: {', '.join(sorted(known))}")


def check_rules(rules: Sequence[str]) -> None:
    """Raises: UserError for a rule that does not exist."""
    from core.rules import RULES
    from core.yaml_positions import did_you_mean

    for rule in rules:
        if rule not in RULES:
            raise UserError(f"no rule {rule!r}{did_you_mean(rule, RULES)}", next_step=f"one of: {', '.join(sorted(RULES))}")


def run_reconcile(hub: Hub, *, as_of: datetime | None = None) -> Understanding:
    """Resolve and reconcile what the lake holds."""
    now = hub.clock()
    if as_of is not None and as_of > now:  # nothing is known of it, but every open deal would be "past its close date" there
        raise UserError(
            f"--as-of {as_of:%Y-%m-%d %H:%M} UTC lies in the future", next_step="give an instant that is over, or leave it out for now"
        )
    with running(hub.ledger, "reconcile", hub.clock, {"as_of": (as_of or now).isoformat()}) as run_id:
        try:
            found = understand(hub.line, run_id, now, as_of=as_of)
        except BaseException:
            hub.ledger.end_run(run_id, "failed", hub.clock())
            raise
        hub.ledger.end_run(run_id, "done", hub.clock(), {"findings": found.findings.num_rows})
    return found


def run_measure(
    hub: Hub,
    found: Understanding,
    families: Sequence[str] = tuple(FAMILIES),
    *,
    span: tuple[datetime, datetime] | None = None,
    only: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """The metrics of what was found; kept in the lake when they are all of them, as of now. `span`: of the waterfall. `only`: of a part."""
    keep = found.stored and span is None and not only and set(families) == set(FAMILIES)
    rows: list[dict[str, Any]] = measured(hub.line, found, families, now=hub.clock() if keep else None, span=span, only=only).to_pylist()
    return rows


_LIKELY = (  # how the names of a family's metrics begin
    ("follow_up", "next"), ("score", "score"), ("lead_score", "score"), ("customers", "retention"), ("revenue", "retention"),
    ("bought", "retention"), ("retention", "retention"), ("experiment", "experiments"), ("attributed", "attribution"),
    ("influenced", "attribution"), ("sourced", "attribution"), ("campaign", "attribution"), ("source_", "sources"),
    ("forecast", "forecast"), ("backtest", "backtest"), ("waterfall", "waterfall"), ("win_rate", "winrate"),
    ("lost_reasons", "winrate"), ("won_value", "winrate"),
)  # fmt: skip


def measured_until(hub: Hub, found: Understanding, name: str, only: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """The metrics of the first family that has one of this name, the likeliest asked first; of all families where none has."""
    every: list[dict[str, Any]] = []
    likely = next((family for beginning, family in _LIKELY if name.startswith(beginning)), "")
    for family in sorted(FAMILIES, key=lambda family: family != likely):
        rows = run_measure(hub, found, (family,), only=only)
        if any(row["name"] == name for row in rows):
            return rows
        every += rows
    return every


def run_plan(hub: Hub, *, found: Understanding | None = None, choice: Choice = EVERYTHING) -> Plan:
    """A new plan from the lake as it is, of what is chosen; reads live values, writes nothing to a vendor."""
    found = found or run_reconcile(hub)
    with hub.hands(names=sorted(choice.accounts)) as hands:
        return make_plan(hub.line, found, hands, hub.clock(), sources=source_sizes(hub), only=choice.keeps)


def source_sizes(hub: Hub) -> list[SourceSize]:
    """Live rows per account and resource now and at the sync before, for the guard against sources that empty suddenly."""
    syncs = [r for r in hub.ledger.runs(200, "sync") if r.status != "running"]
    seen: dict[tuple[str, str], list[Count]] = {}
    for run in syncs[:20]:
        for count in hub.ledger.counts(run.id):
            seen.setdefault((count.account, count.resource), []).append(count)
    sizes = []
    for (account, resource), counts in sorted(seen.items()):
        live = sum(len(ids) for kind in _kinds(hub, account, resource) for ids in hub.lake.live_ids(kind, account, resource))
        lost = counts[0].deleted
        sizes.append(SourceSize(account, resource, live, live + lost, counts[0].status == "done"))
    return sizes


def _kinds(hub: Hub, account: str, resource: str) -> list[str]:
    mapping = hub.setup.mappings[account]
    kinds = mapping.resources[resource].kinds if resource in mapping.resources else ()
    return [k for k in kinds if k in ("person", "company", "deal")]


def run_compact(hub: Hub, vacuum_hours: int = 168) -> dict[str, Any]:
    """Keep the lake small: leave out what the funnel's `retention` no longer wants, join files, drop unused ones."""
    with _lease(hub, "compact"):
        orphans = hub.lake.sweep_orphans()
        expired = retain(hub.lake, hub.ledger, hub.setup.funnel.retention, hub.clock())
        return {"orphan_rows": orphans, "expired": expired, "rewritten": hub.lake.compact(), "dropped_files": hub.lake.vacuum(vacuum_hours)}


def compact_text(done: Mapping[str, Any]) -> str:
    expired = ", ".join(f"{n} {name}" for name, n in done["expired"].items() if n) or "nothing"
    files = f"{sum(done['rewritten'].values())} files rewritten, {done['dropped_files']} old files dropped"
    return f"{done['orphan_rows']} orphan rows removed, past their retention: {expired}, {files}"


def _lease(hub: Hub, name: str) -> Any:
    return held(hub.ledger, name, hub.clock)
