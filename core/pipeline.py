"""The straight line: resolve → reconcile → measure → plan, over one lake and one ledger.

The only module that knows the stages' order. Pulling is `core.pull`; a plan is applied and undone by `core.carry_out`; who is
called with which session is `jobs.wiring`.
"""

from __future__ import annotations

import gc
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, partial
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from core.apply import Hand
from core.change import EVENT, Desired, Held, Key, Plan
from core.compiled import Compiled, over
from core.connector import Connector, Target
from core.entity_history import EntityHistory, changes, moves
from core.errors import UserError, VendorError
from core.event_wishes import Told, events
from core.facts import facts as make_facts
from core.finding_heirs import follow
from core.fit import definitions, misfits
from core.identity_decisions import Decision, agreed
from core.lake import Lake
from core.ledger import Ledger
from core.ledger_echo import keep_bases
from core.ledger_events import told
from core.ledger_facts import ledger_facts
from core.ledger_identity import decided
from core.ledger_plans import PlanBook
from core.ledger_verdicts import judged, verdicts
from core.ledger_writes import last_writes
from core.mapping import Mapping as VendorMapping
from core.measure import FAMILIES, Scope, distrusted, measure
from core.mirror_facts import mirror_facts
from core.model import KINDS
from core.plan import Limits, SourceSize, build, guard, without
from core.pushing import Ground, ground, linked, wanted
from core.reconcile import reconcile as find
from core.reconcile import with_issues
from core.resolve import Resolution, resolve
from core.restraint import early, frozen, lasting
from core.stage_map import stage_map
from core.wishes import Book, derived, fixes
from core.written_fields import left_to_others, written_fields

Mark = tuple[str, str, str, str]  # account, target, vendor id, field
log = logging.getLogger("tundish.pipeline")


@dataclass(frozen=True)
class Line:
    """Everything the stages need that is not a vendor session. Connectors and mappings are by account."""

    ledger: Ledger
    lake: Lake
    funnel: Any
    connectors: Mapping[str, Connector]
    mappings: Mapping[str, VendorMapping]
    limits: Limits = field(default_factory=Limits)
    identity: tuple[Decision, ...] = ()  # of identity.yaml; those made by command are in the ledger

    @cached_property
    def plans(self) -> PlanBook:
        return PlanBook(self.ledger)


@dataclass(frozen=True)
class Understanding:
    """What one reconcile run found. Tables are Ibis expressions over the lake; members and findings are stored."""

    run_id: str
    as_of: datetime
    tables: Mapping[str, ibis.Table]
    members: pa.Table
    facts: Mapping[str, ibis.Table]
    findings: pa.Table
    compiled: Compiled
    unknown: tuple[Decision, ...] = ()  # decisions about records that are not there
    past: EntityHistory = field(default_factory=EntityHistory)
    stored: bool = False  # in the lake, as of now

    def open_findings(self) -> list[dict[str, Any]]:
        """The findings that stand now: neither fixed since nor muted or accepted by a person."""
        return [row for row in self.findings.to_pylist() if row["status"] == "open"]

    def entities(self) -> dict[str, int]:
        """Live entities by kind."""
        live = self.members.filter(self.members["live"])
        pairs = live.group_by(["kind", "entity_id"]).aggregate([]).group_by("kind").aggregate([("entity_id", "count")]).sort_by("kind")
        return {row["kind"]: row["entity_id_count"] for row in pairs.to_pylist()}


def understand(line: Line, run_id: str, now: datetime, *, as_of: datetime | None = None, store: bool = True) -> Understanding:
    """Resolve and reconcile the lake as it is, or as it was known at `as_of` (then nothing is stored)."""
    with _rare_collections():
        return _understand(line, run_id, now, as_of, store and as_of is None)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Expressions are hundreds of thousands of small objects that live until the end: looking for garbage among them costs a fifth."""
    before = gc.get_threshold()
    gc.set_threshold(200_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _understand(line: Line, run_id: str, now: datetime, as_of: datetime | None, store: bool) -> Understanding:
    at = as_of or now
    ibis.set_backend(line.lake.engine)  # literal tables live where the lake's tables do
    tables = {kind: line.lake.current(kind, as_of) for kind in KINDS}
    previous = _stored(line, "member", as_of)
    compiled = over(tables, line.funnel)
    said = agreed(line.identity, decided(line.ledger, at))
    with line.lake.lent() as engine:
        resolution: Resolution = resolve(tables, line.funnel, previous, compiled, said, engine)
    moved = moves(previous, resolution.members, compiled)
    became = changes(moved, at)
    past = EntityHistory.of(line.lake.engine.to_pyarrow(line.lake.versions("entity_change", as_of)), became)
    known = make_facts(tables, resolution.members, line.funnel, at, compiled)
    known |= ledger_facts(line.ledger, line.connectors, compiled, at, past)
    known |= {"stage_map": compiled.give("fact.stage_map", stage_map(line.mappings)), "cut": compiled.give("fact.cut", resolution.cuts)}
    known |= {"written": compiled.give("fact.written", written_fields(line.mappings, line.connectors))}
    mirrored = mirror_facts(line.ledger, line.connectors, line.mappings, line.funnel, known, compiled, at)
    known |= mirrored.facts
    before = follow(judged(_stored(line, "finding", as_of), verdicts(line.ledger, at)), moved)
    findings = find(tables, resolution.members, known, line.funnel, at, before, compiled=compiled)
    known |= {"distrusted": compiled.give("fact.distrusted", distrusted(findings))}
    issues = with_issues(known, _for_people(findings), compiled)
    compiled.save()
    if store:
        keep_bases(line.ledger, mirrored.agreed, mirrored.since)
        kept = {"member": resolution.members, "link": resolution.links, "cut": resolution.cuts, "finding": findings}
        kept |= {"entity_change": became} if became.num_rows else {}
        line.lake.append_run({kind: [rows] for kind, rows in kept.items()}, run_id, now)
    return Understanding(run_id, at, tables, resolution.members, issues, findings, compiled, resolution.unknown, past, store)


def _for_people(findings: pa.Table) -> pa.Table:
    """The findings that no safe fix settles. Only they are counted on records: otherwise applying a plan would change the next one."""
    return findings.filter(pc.is_null(findings["fix"]))


def _stored(line: Line, kind: str, as_of: datetime | None) -> pa.Table | None:
    """The last run's rows of a computed kind; None before the first run."""
    try:
        rows = line.lake.latest_run(kind, as_of)
    except UserError:
        return None
    table = line.lake.engine.to_pyarrow(rows)
    return table if table.num_rows else None


def measured(
    line: Line,
    found: Understanding,
    families: Sequence[str] = tuple(FAMILIES),
    *,
    now: datetime | None = None,
    span: tuple[datetime, datetime] | None = None,
    only: Mapping[str, str] | None = None,
) -> pa.Table:
    """The metrics of these families (of one part, if `only` says so), of what was found; stored with its run at `now`, if that is given."""
    facts = {**found.facts, **(_versions(line, found) if _LOOKING_BACK & set(families) else {})}
    metrics = measure(facts, line.funnel, found.as_of, families, span, only)
    if now is not None:
        line.lake.append_run({"metric": [metrics]}, found.run_id, now)
    return metrics


_LOOKING_BACK = {"score", "next"}  # the families that ask for old versions


def _versions(line: Line, found: Understanding) -> dict[str, ibis.Table]:
    """Every version of persons and companies the lake had then: what a score may know of the past."""
    as_of = None if found.stored else found.as_of
    return {f"versions.{kind}": line.lake.versions(kind, as_of) for kind in ("person", "company")}


# -- plan ---------------------------------------------------------------------------------------------------------------
def make_plan(
    line: Line,
    found: Understanding,
    hands: Mapping[str, Hand],
    now: datetime,
    *,
    sources: Sequence[SourceSize] = (),
    only: Callable[[Desired | Held], bool] = lambda wish: True,
) -> Plan:
    """The reviewed-to-be plan: saved in the ledger, nothing written to a vendor. `only` says which wishes it is made of."""
    compiled = found.compiled.also(_written(line, hands))
    writable = compiled.keep("writable", lambda: _writable(found))
    named, links = wanted(line.mappings, hands), linked(line.mappings, hands)
    base = ground(partial(_scope, line, found), found.facts, writable, named, links, line.plans.pushed, compiled)
    wishes, marks = _derived(line, base, hands, compiled)
    due, late = _events(line, found, base.facts, hands, now, compiled)
    compiled.save()
    wishes += due
    rows = found.open_findings()
    book = Book(line.connectors, line.mappings, _owners(found))
    fixable = [r for r in rows if r.get("fix")]
    seen = lasting(line.ledger, line.funnel, fixable)
    asked = fixes(fixable, book)
    wishes += [w for id_, w in asked if id_ in seen and isinstance(w, Desired) and w.account in hands]
    held = [w for id_, w in asked if id_ in seen and isinstance(w, Held)]
    waiting = early(w for id_, w in asked if id_ not in seen and isinstance(w, Desired))
    wishes, barred = _of_the_living([w for w in wishes if only(w)], rows)
    wishes, others = left_to_others(wishes, line.mappings)
    live = read_live(wishes, hands)
    shared = [(w.account, w.target, w.vendor_id, w.field) for w in wishes if w.policy != "derived" and w.type != EVENT]
    written = last_writes(line.ledger, shared, now)
    stopped = frozen(rows, found.members, line.mappings)
    rungs, limits = _rungs(line), line.limits
    plan = build(wishes, live, now=now, as_of=found.as_of, limits=limits, rungs=rungs, frozen=stopped, written=written)
    plan = _parked(plan, line.plans.refused([c.change_id for c in plan.changes]))
    plan = _fitting(plan, line, hands)
    unwished = tuple(h for h in (*held, *waiting, *late, *barred, *others) if only(h))
    plan = guard(replace(plan, held=(*plan.held, *unwished)), _sizes(found, line, base.sizes), sources, limits)
    plan = replace(plan, requests=_requests(plan, hands))
    _note_equal(line, wishes, plan, marks, now)
    line.plans.save(plan, marks, now)
    return plan


def _written(line: Line, hands: Mapping[str, Hand]) -> object:
    """What a plan's queries depend on beside the facts: who may be written to, and what the mappings say about it."""
    return [
        (account, line.connectors[account].name, [(t.name, t.resource) for t in line.connectors[account].targets],
         line.mappings[account].push, line.mappings[account].events, [(n, r.kinds) for n, r in line.mappings[account].resources.items()])
        for account in hands
    ]  # fmt: skip


def _scope(line: Line, found: Understanding) -> Scope:
    return Scope({**found.facts, **_versions(line, found)}, line.funnel, found.as_of)


def _derived(line: Line, base: Ground, hands: Mapping[str, Hand], compiled: Compiled) -> tuple[list[Desired], dict[Mark, str]]:
    """The wishes for hub-owned fields, and md5s of their values."""
    wishes: list[Desired] = []
    marks: dict[Mark, str] = {}
    for account, hand in hands.items():
        pushed = line.plans.pushed(account)
        for wish, mark in derived(account, line.connectors[account], line.mappings[account], base.members, base.facts, pushed, compiled):
            if wish.target in hand.targets:
                wishes.append(wish)
                marks[(wish.account, wish.target, wish.vendor_id, wish.field)] = mark
    return wishes, marks


def _events(
    line: Line, found: Understanding, facts: Mapping[str, ibis.Table], hands: Mapping[str, Hand], now: datetime, compiled: Compiled
) -> tuple[list[Desired], list[Held]]:
    """Events no vendor was told of yet, and those that come too late."""
    wishes: list[Desired] = []
    late: list[Held] = []
    for account, hand in hands.items():
        known = partial(_told, line, account)
        due = events(account, line.connectors[account], line.mappings[account], facts, known, now, compiled, found.past)
        wishes += [w for w in due.wishes if w.target in hand.targets]
        late += [h for h in due.held if h.target in hand.targets]
    return wishes, late


def _told(line: Line, account: str, target: Target) -> Told:
    rows = told(line.ledger, account, target.name, resendable=target.idempotent)
    return Told({id_: at for _, _, id_, at in rows}, frozenset((target.name, visitor, name) for visitor, name, _, _ in rows))


def _writable(found: Understanding) -> ibis.Table:
    """The members a vendor lets us write: converted leads are history, read-only from then on."""
    members, people = found.compiled.tables["given.members"], found.tables["person"]
    converted = people.filter(people.converted.fill_null(False)).select("account", "resource", "vendor_id")
    return members.anti_join(converted, ["account", "resource", "vendor_id"])


def _parked(plan: Plan, refused: Mapping[str, str]) -> Plan:
    """The plan without changes the vendor refused before, which are held with its reason until something about them changes."""
    held = [
        Held(c.account, c.target, c.vendor_id, c.field, c.before, c.after, f"refused by the vendor before: {refused[c.change_id]}", c.rule)
        for c in plan.changes
        if c.change_id in refused
    ]
    return without(plan, frozenset(refused), held) if held else plan


def _fitting(plan: Plan, line: Line, hands: Mapping[str, Hand]) -> Plan:
    """The plan without changes that the vendors' live field definitions rule out; those are held with the reason."""
    live = {}
    for account in {c.account for c in plan.changes}:
        discover = line.connectors[account].discover
        if discover is not None:
            try:
                live[account] = definitions(discover(hands[account].session).fields)
            except VendorError as problem:  # a key without the right to see definitions: the vendor will judge when it is written
                log.warning("%s: field definitions could not be read: %s", account, problem.message)
    resources = {(account, t.name): t.resource for account, hand in hands.items() for t in hand.targets.values()}
    held = misfits(plan.changes, resources, live)
    gone = {(h.account, h.target, h.vendor_id, h.field) for h in held}
    ids = frozenset(c.change_id for c in plan.changes if (c.account, c.target, c.vendor_id, c.field) in gone)
    return without(plan, ids, held) if held else plan


def read_live(wishes: Iterable[Desired], hands: Mapping[str, Hand]) -> dict[Key, Mapping[str, Any]]:
    """The live values of every field a wish touches, in the targets' batches."""
    asked: dict[tuple[str, str], dict[str, set[str]]] = {}
    for wish in wishes:
        if wish.type == EVENT:
            continue
        asked.setdefault((wish.account, wish.target), {}).setdefault(wish.vendor_id, set()).add(wish.field)
    live: dict[Key, Mapping[str, Any]] = {}
    for (account, name), records in asked.items():
        hand, ids = hands[account], list(records)
        target = hand.targets[name]
        fields = sorted(set().union(*records.values()))
        for i in range(0, len(ids), target.batch_size):
            found = target.current(hand.session, ids[i : i + target.batch_size], fields)
            live.update({(account, name, vendor_id): values for vendor_id, values in found.items()})
    return live


def _note_equal(line: Line, wishes: Iterable[Desired], plan: Plan, marks: Mapping[Mark, str], now: datetime) -> None:
    """Remember hub-owned values that already stand at the vendor, so that the next plan need not ask again."""
    open_ = {(c.account, c.target, c.vendor_id, c.field) for c in plan.changes} | {
        (h.account, h.target, h.vendor_id, h.field) for h in plan.held
    }
    keys = {(w.account, w.target, w.vendor_id, w.field) for w in wishes} - open_
    line.plans.set_pushed([(key, marks[key]) for key in keys if key in marks], now)


def _owners(found: Understanding) -> dict[tuple[str, str], str]:
    """(account, e-mail) → the vendor's id of that active owner."""
    owners = found.tables["owner"]
    rows = owners.filter(owners.email.notnull(), ~owners.deleted, owners.active.fill_null(True))
    table = rows.select("account", "email", "vendor_id").to_pyarrow()
    return {(r["account"], r["email"].lower()): r["vendor_id"] for r in table.to_pylist()}


def _rungs(line: Line) -> dict[tuple[str, str, str], dict[str, str]]:
    """{(account, target, field): {vendor value: milestone}} for every push that goes through a stage table."""
    rungs = {}
    for account, mapping in line.mappings.items():
        for push in mapping.push:
            if push.table:
                rows = mapping.stages[push.table].current
                rungs[(account, push.target, push.field)] = {key.rsplit("/", 1)[-1]: r.milestone for key, r in rows.items() if r.milestone}
    return rungs


def _of_the_living(wishes: list[Desired], findings: Sequence[Mapping[str, Any]]) -> tuple[list[Desired], list[Held]]:
    """The wishes without those for records of erased persons, and these as held: rule C-05 stops every write to them."""
    erased_ = {(a, v) for row in findings if row["rule"] == "C-05" for a, _, v in json.loads(row["records"])}
    barred = [w for w in wishes if (w.account, w.vendor_id) in erased_]
    reason = "the person was erased and is there again (C-05)"
    held = [Held(w.account, w.target, w.vendor_id, w.field, None, w.value, reason, w.rule) for w in barred]
    return [w for w in wishes if (w.account, w.vendor_id) not in erased_], held


def _sizes(found: Understanding, line: Line, campaigns: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    live = found.members.filter(found.members["live"]).group_by(["account", "resource"]).aggregate([("vendor_id", "count")])
    by_resource = {**campaigns, **{(r["account"], r["resource"]): r["vendor_id_count"] for r in live.to_pylist()}}
    return {(account, t.name): by_resource.get((account, t.resource), 0) for account, c in line.connectors.items() for t in c.targets}


def _requests(plan: Plan, hands: Mapping[str, Hand]) -> dict[str, int]:
    """Requests the plan will cost by account: re-read, write and read back of each batch; events are only written."""
    costs: dict[str, int] = {}
    records: dict[tuple[str, str], set[str]] = {}
    for change in plan.changes:
        one = change.change_id if change.type == EVENT else change.vendor_id
        records.setdefault((change.account, change.target), set()).add(one)
    for (account, name), ids in records.items():
        target = hands[account].targets[name]
        batches = -(-len(ids) // target.batch_size)
        costs[account] = costs.get(account, 0) + batches * (1 if target.kind == "events" else 3)
    return costs


__all__ = ["Held", "Line", "Understanding", "make_plan", "understand"]
