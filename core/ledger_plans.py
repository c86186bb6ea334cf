"""Plans, apply runs, outcomes and pushed values in the ledger. Every method is one transaction; no clock, no vendor."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import pyarrow as pa
from sqlalchemy import delete, func, insert, select, update

from core import ledger_tables as t
from core.change import Change, Outcome, Plan
from core.errors import UnsafePlan, UserError
from core.ledger import Ledger, upsert
from core.ledger_events import note_intents, note_outcomes
from core.ledger_states import State, close_runs, plan_status, states

PUSHED = pa.schema([(n, pa.string()) for n in ("target", "vendor_id", "field", "value_hash")])
FieldKey = tuple[str, str, str, str]  # account, target, vendor id, field
_WROTE = ("applied", "already")
_ERASED = zlib.compress(b"{}")
_ANEW = "make a new one: tundish plan"


@dataclass(frozen=True)
class PlanRow:
    """A saved plan as a list shows it."""

    plan_id: str
    created_at: datetime
    expires_at: datetime | None
    status: str
    changes: int


class PlanBook:
    """The plans of one ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    # -- plans ---------------------------------------------------------------------------------------------------------
    def save(self, plan: Plan, marks: Mapping[FieldKey, str], now: datetime) -> None:
        """Keep a plan and its changes. The same changes planned again are all open again; what earlier runs did stays on record."""
        body = zlib.compress(orjson.dumps(plan.to_json()))
        status = "refused" if plan.refusals else "open" if plan.changes else "empty"
        row = {"id": plan.plan_id, "hash": _digest(body), "created_at": plan.created_at, "expires_at": plan.expires_at}
        changes = [_change_row(plan.plan_id, i, c, marks) for i, c in enumerate(plan.changes)]
        with self.ledger.write() as c:
            upsert(c, t.plan, [{**row, "status": status, "body": body}])
            close_runs(c, plan.plan_id)
            c.execute(delete(t.change).where(t.change.c.plan_id == plan.plan_id))
            if changes:
                c.execute(insert(t.change), changes)

    def load(self, plan_id: str | None = None) -> Plan:
        """The plan by id, by a beginning of its id, or the newest.

        Raises: UserError when there is none, UnsafePlan when it is not what was saved.
        """
        if plan_id == "":  # a script's empty variable
            raise UserError("the plan's id is empty", next_step="list them: tundish plans")
        query = select(t.plan.c.body, t.plan.c.id, t.plan.c.hash, t.plan.c.status).order_by(t.plan.c.created_at.desc()).limit(2)
        if plan_id and plan_id != "latest":
            query = query.where(t.plan.c.id.startswith(plan_id, autoescape=True))
        with self.ledger.read() as c:
            bodies = c.execute(query).all()
        if not bodies or (plan_id and plan_id != "latest" and len(bodies) > 1):
            what = f"no plan {plan_id!r}" if not bodies else f"more than one plan begins with {plan_id!r}"
            raise UserError(
                what if plan_id not in (None, "latest") else "no plan yet", next_step="make one: tundish plan; list them: tundish plans"
            )
        found = bodies[0]
        if found.status == "erased" or found.body == _ERASED:
            raise UserError(f"plan {found.id} was erased with a person it was about", next_step=_ANEW)
        if found.hash not in (_digest(found.body), found.id):  # the id: saved before there were digests
            raise UnsafePlan(f"plan {found.id} is not what was saved: the ledger's copy was changed or damaged", next_step=_ANEW)
        return Plan.from_json(orjson.loads(zlib.decompress(found.body)))

    def changes_like(self, beginning: str) -> list[str]:
        """Ids of changes of saved plans that begin so, at most two."""
        ch = t.change.c
        query = select(ch.change_id).where(ch.change_id.startswith(beginning, autoescape=True)).distinct().limit(2)
        with self.ledger.read() as c:
            return list(c.execute(query).scalars())

    def status(self, plan_id: str) -> str:
        with self.ledger.read() as c:
            return str(c.execute(select(t.plan.c.status).where(t.plan.c.id == plan_id)).scalar_one())

    def states(self, plan_id: str) -> dict[str, State]:
        """What became of its changes, by change id; those that are open are not in it."""
        with self.ledger.read() as c:
            return states(c, plan_id)

    def plans(self, limit: int = 20) -> list[PlanRow]:
        """Newest first."""
        counted = select(t.change.c.plan_id, func.count().label("n")).group_by(t.change.c.plan_id).subquery()
        p = t.plan.c
        query = select(p.id, p.created_at, p.expires_at, p.status, func.coalesce(counted.c.n, 0)).join(
            counted, counted.c.plan_id == p.id, isouter=True
        )
        with self.ledger.read() as c:
            return [PlanRow(*row) for row in c.execute(query.order_by(p.created_at.desc()).limit(limit))]

    # -- apply runs ------------------------------------------------------------------------------------------------------
    def start_apply(self, plan_id: str, kind: str, now: datetime, apply_id: str, of: str | None = None, by: str = "") -> str:
        """by: who wants it, for the audit trail."""
        row = {"id": apply_id, "plan_id": plan_id, "kind": kind, "of": of, "started_at": now, "status": "running", "detail": {"by": by}}
        with self.ledger.write() as c:
            c.execute(insert(t.apply_run).values(**row))
            c.execute(update(t.plan).where(t.plan.c.id == plan_id).values(status="applying" if kind == "apply" else "undoing"))
        return apply_id

    def end_apply(self, apply_id: str, status: str, now: datetime) -> None:
        with self.ledger.write() as c:
            c.execute(update(t.apply_run).where(t.apply_run.c.id == apply_id).values(status=status, ended_at=now))
            plan_id = c.execute(select(t.apply_run.c.plan_id).where(t.apply_run.c.id == apply_id)).scalar_one()
            ids = c.execute(select(t.change.c.change_id).where(t.change.c.plan_id == plan_id)).scalars()
            after = plan_status(ids, states(c, plan_id)) if status == "done" else "partial"
            c.execute(update(t.plan).where(t.plan.c.id == plan_id).values(status=after))

    def open_apply(self, plan_id: str) -> str | None:
        """The apply run of this plan that was not finished: started and killed, or ended partial. None that is older than the plan."""
        return self._open(t.apply_run.c.plan_id == plan_id, "apply")

    def open_undo(self, apply_id: str) -> str | None:
        return self._open(t.apply_run.c.of == apply_id, "undo")

    def _open(self, which: Any, kind: str) -> str | None:
        a = t.apply_run.c
        query = select(a.id, a.detail).where(which, a.kind == kind, a.status.in_(("running", "partial"))).order_by(a.started_at.desc())
        with self.ledger.read() as c:
            return next((id_ for id_, detail in c.execute(query) if kind == "undo" or not (detail or {}).get("closed")), None)

    def plan_of(self, apply_id: str) -> str:
        """Raises: UserError for an unknown run."""
        with self.ledger.read() as c:
            plan_id = c.execute(select(t.apply_run.c.plan_id).where(t.apply_run.c.id == apply_id)).scalar()
        if plan_id is None:
            raise UserError(f"no apply run {apply_id!r}", next_step="list them: tundish undo --list")
        return str(plan_id)

    def kind_of(self, apply_id: str) -> str:
        """apply or undo."""
        with self.ledger.read() as c:
            return str(c.execute(select(t.apply_run.c.kind).where(t.apply_run.c.id == apply_id)).scalar())

    def applies(self, limit: int | None = 20) -> list[dict[str, Any]]:
        """Apply and undo runs, newest first."""
        query = select(t.apply_run).order_by(t.apply_run.c.started_at.desc()).limit(limit)
        with self.ledger.read() as c:
            return [dict(row) for row in c.execute(query).mappings()]

    # -- outcomes ----------------------------------------------------------------------------------------------------------
    def book(self, apply_id: str, now: datetime) -> OutcomeBook:
        return OutcomeBook(self, apply_id, self.plan_of(apply_id), now, undoes=self.kind_of(apply_id) == "undo")

    def outcomes(self, apply_id: str) -> list[Outcome]:
        o = t.outcome.c
        query = select(o.change_id, o.status, o.detail, o.before_image).where(o.apply_id == apply_id, o.status != "sent")
        with self.ledger.read() as c:
            return [Outcome(*row) for row in c.execute(query.order_by(o.change_id))]

    def applied(self, apply_id: str) -> list[tuple[Change, str | None]]:
        """What the run itself wrote, each with the value that stood there before. Raises: UserError for an unknown run."""
        plan_id, o, ch = self.plan_of(apply_id), t.outcome.c, t.change.c
        query = select(t.change, o.before_image.label("found")).join(t.outcome, o.change_id == ch.change_id)
        query = query.where(o.apply_id == apply_id, o.status == "applied", ch.plan_id == plan_id).order_by(ch.position)
        with self.ledger.read() as c:
            return [(change_of(row), row["found"]) for row in c.execute(query).mappings()]

    def left_to_undo(self, apply_id: str) -> list[tuple[Change, str | None]]:
        """What `applied` says without what an ended undo of the run has settled; an undo that was cut short goes on with all of it.

        Raises: UserError for an unknown run, and for one that is an undo itself.
        """
        applied, o, a = self.applied(apply_id), t.outcome.c, t.apply_run.c
        undos = select(a.id).where(a.of == apply_id, a.kind == "undo", a.status == "done")
        settled = select(o.change_id).where(o.apply_id.in_(undos), o.status.in_(("undone", "already")))
        with self.ledger.read() as c:
            run = c.execute(select(a.kind, a.plan_id).where(a.id == apply_id)).one()
            done = set(c.execute(settled).scalars())
        if run.kind == "undo":
            again = f"to write the changes again: tundish apply {run.plan_id}"
            raise UserError(f"{apply_id} is an undo, which is not taken back itself", next_step=again)
        return [(change, found) for change, found in applied if change.change_id not in done]

    def refused(self, change_ids: Sequence[str]) -> dict[str, str]:
        """Of these changes, those a vendor refused the last time they were tried, with its reason."""
        o, last = t.outcome.c, {}
        with self.ledger.read() as c:
            for start in range(0, len(change_ids), 500):
                part = o.change_id.in_(change_ids[start : start + 500])
                rows = c.execute(select(o.change_id, o.status, o.detail).where(part, o.status != "sent").order_by(o.at))
                last.update({change_id: (status, detail) for change_id, status, detail in rows})
        return {change_id: detail for change_id, (status, detail) in last.items() if status == "rejected"}

    # -- pushed values -------------------------------------------------------------------------------------------------------
    def pushed(self, account: str) -> pa.Table:
        """The hash of every hub-owned value that stands at the vendor because of us, or stood there equal."""
        p = t.pushed.c
        with self.ledger.read() as c:
            rows = c.execute(select(p.resource, p.vendor_id, p.field, p.value_hash).where(p.account == account)).all()
        return pa.Table.from_pylist([dict(zip(PUSHED.names, row, strict=True)) for row in rows], schema=PUSHED)

    def set_pushed(self, marks: Iterable[tuple[FieldKey, str]], now: datetime) -> None:
        rows = [dict(zip(("account", "resource", "vendor_id", "field"), key, strict=True), value_hash=mark, at=now) for key, mark in marks]
        with self.ledger.write() as c:
            upsert(c, t.pushed, rows)


@dataclass(frozen=True)
class OutcomeBook:
    """One apply run's outcomes, written as they arrive (the `Book` of `core.apply`)."""

    plans: PlanBook
    apply_id: str
    plan_id: str
    now: datetime
    undoes: bool = False

    def settled(self) -> set[str]:
        return self._with(t.outcome.c.status.not_in(("sent", "failed")))

    def intended(self) -> set[str]:
        return self._with(t.outcome.c.status.in_(("sent", "failed")))

    def unanswered(self) -> set[str]:
        return self._with(t.outcome.c.status == "sent")

    def _with(self, which: Any) -> set[str]:
        with self.plans.ledger.read() as c:
            return set(c.execute(select(t.outcome.c.change_id).where(t.outcome.c.apply_id == self.apply_id, which)).scalars())

    def intend(self, changes: Sequence[Change]) -> None:
        rows = [self._row(c.change_id, "sent", "", c.before) for c in changes]
        with self.plans.ledger.write() as c:
            upsert(c, t.outcome, rows)
            note_intents(c, changes, self.now)

    def record(self, outcomes: Sequence[tuple[Change, Outcome]]) -> None:
        rows = [self._row(o.change_id, o.status, o.detail, o.found) for _, o in outcomes]
        with self.plans.ledger.write() as c:
            upsert(c, t.outcome, rows)
            note_outcomes(c, outcomes, self.now)
            marks = self._marks(c, [o.change_id for _, o in outcomes if o.status in _WROTE and not self.undoes])
            upsert(c, t.pushed, [_pushed(change, marks[change.change_id], self.now) for change, _ in outcomes if change.change_id in marks])
            for change, outcome in outcomes:
                if self.undoes and outcome.status in ("undone", "already"):  # what we pushed stands there no more
                    p = t.pushed.c
                    mine = (p.account == change.account) & (p.resource == change.target) & (p.vendor_id == change.vendor_id)
                    c.execute(delete(t.pushed).where(mine, p.field == change.field))

    def _marks(self, c: Any, change_ids: Sequence[str]) -> dict[str, str]:
        ch = t.change.c
        rows = c.execute(select(ch.change_id, ch.detail).where(ch.plan_id == self.plan_id, ch.change_id.in_(change_ids)))
        return {change_id: detail["mark"] for change_id, detail in rows if detail.get("mark")}

    def _row(self, change_id: str, status: str, detail: str, found: str | None) -> dict[str, Any]:
        return {
            "apply_id": self.apply_id, "change_id": change_id, "status": status, "detail": detail, "before_image": found, "at": self.now,
        }  # fmt: skip


def _digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def _pushed(change: Change, mark: str, now: datetime) -> dict[str, Any]:
    return {
        "account": change.account, "resource": change.target, "vendor_id": change.vendor_id, "field": change.field,
        "value_hash": mark, "at": now,
    }  # fmt: skip


def _change_row(plan_id: str, position: int, change: Change, marks: Mapping[FieldKey, str]) -> dict[str, Any]:
    row = dict(vars(change))
    mark = marks.get((change.account, change.target, change.vendor_id, change.field))
    detail = {"type": row.pop("type"), "policy": row.pop("policy"), "rule": row.pop("rule"), "mark": mark}
    return {**row, "plan_id": plan_id, "position": position, "detail": detail}


def change_of(row: Any) -> Change:
    """A change of a row of its table."""
    d = row["detail"] or {}
    return Change(
        row["change_id"], row["account"], row["target"], row["vendor_id"], row["field"], d.get("type", ""), row["before"], row["after"],
        row["why"], d.get("policy", ""), d.get("rule", ""), row["entity_id"] or "",
    )  # fmt: skip
