"""Whatever people do in three systems while the hub works: it converges, loosens no consent, overwrites no newer edit, and can be undone.

HubSpot, Salesforce and Mailchimp are emulated, the hub is the real one, and time moves only when a step says so. Beside the people there
are other programs: a second hub that keeps a value of its own, and a sync that copies one CRM to the other.
TUNDISH_STEPS=2000 runs so many steps under each policy, at random, instead of the few that CI takes (docs/policies.md).
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from three_systems import CHANGING, DEALS, PEOPLE, REPS, Three, sf, three, three_again

from connectors.sandbox.kit import Fault
from core.change import Change, canonical
from jobs.steps import run_compact
from jobs.thaw import frozen_fields, thaw_fields

STEPS = int(os.environ.get("TUNDISH_STEPS") or "0")
PER_EXAMPLE = min(STEPS, 100) if STEPS else 6
POLICIES = {  # the first as shipped
    "source_of_truth": "{policy: source_of_truth, order: [salesforce, hubspot]}",
    "most_recent": "{policy: most_recent, order: [salesforce, hubspot]}",
}
FIGHT = timedelta(days=7)  # thresholds.ping_pong_days; `ping_pong_times` are three: ours, theirs, ours
VALUES: dict[str, tuple[tuple[Any, Any], ...]] = {  # field → pairs of (HubSpot's, Salesforce's) spelling
    "amount": (("1200", 1200.0), ("3400", 3400.0), ("5600", 5600.0)),
    "close_date": tuple((f"2026-{day}T12:00:00Z", f"2026-{day}") for day in ("08-03", "08-20", "09-10")),
    "stage": (("appointmentscheduled", "Prospecting"), ("presentationscheduled", "Perception Analysis"),
              ("decisionmakerboughtin", "Negotiation/Review")),
    "owner": ((REPS[0], sf("005", 1)), (REPS[1], sf("005", 2))),
}  # fmt: skip
NAMES = {"amount": ("amount", "Amount"), "close_date": ("closedate", "CloseDate"), "stage": ("dealstage", "StageName"),
         "owner": ("hubspot_owner_id", "OwnerId")}  # fmt: skip
SYSTEMS = ("hubspot", "salesforce")
EDITS = st.tuples(st.sampled_from(SYSTEMS), st.integers(0, 1), st.sampled_from(sorted(NAMES)), st.integers(1, 2))
FIELD_OF = {(system, names[i]): field for field, names in NAMES.items() for i, system in enumerate(SYSTEMS)}
DEAL_OF = {id_: n for n, id_ in enumerate(DEALS)} | {sf("006", n): n for n in range(len(DEALS))}
Field = tuple[str, int, str]  # system, deal, field
UNDATED: tuple[Field, ...] = tuple(("salesforce", n, "owner") for n in range(len(DEALS)))  # no history tells of it


class Hub(RuleBasedStateMachine):
    """What people said last, and what may follow from it."""

    begun: ClassVar[Three]  # a stand where everything was written once
    policy: ClassVar[str]
    tally: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.said: dict[Field, datetime] = {}  # when anybody but the hub last edited it
        self.seen: dict[Field, datetime | None] = {}  # of a field without history: what `said` was when the hub last read it
        self.touched: dict[tuple[str, int], datetime] = {}  # system, deal → when anybody, hub or not, last changed anything there
        self.keeps: dict[Field, Any] = {}  # what a second hub wants there
        self.copies: set[Field] = set()  # what is copied from there to the other CRM
        self.moves: dict[tuple[str, str, str], list[tuple[datetime, str | None, str | None]]] = {}  # what the hub wrote over what
        self.gone: set[tuple[str, int]] = set()  # deals that somebody deleted in a system
        self.out: set[int] = set()  # people who opted out somewhere
        self.wrote: dict[tuple[str, str, str], datetime] = {}
        self.last: tuple[str, list[Change], datetime] | None = None  # the last run that wrote, what, and when
        self.merged = False
        self.dirty = False  # something happened since the last night
        self.nights = self.waited = 0

    @initialize()
    def begin(self) -> None:
        home = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.three = self.stack.enter_context(three_again(home, self.begun))

    def teardown(self) -> None:
        try:
            if hasattr(self, "three") and (self.dirty or self.last):
                self.converges()
        finally:
            self.stack.close()

    @invariant()
    def time_goes_on(self) -> None:
        """Whatever else is drawn, every sixth step is a night."""
        self.tally["steps"] += 1
        self.waited += 1
        if self.waited > 5 and self.dirty:
            self.night(26, None)

    def now(self) -> datetime:
        return self.three.sandbox.clock.utc()

    # -- what people do ---------------------------------------------------------------------------------------------------
    @rule(edits=st.lists(EDITS, min_size=1, max_size=4))
    def edit(self, edits: list[tuple[str, int, str, int]]) -> None:
        for one in edits:
            self.change(*one)

    def change(self, system: str, deal: int, field: str, step: int) -> None:
        """A person sets the field to another value than stands there."""
        if (system, deal) in self.gone:
            return
        spelt, before = self.spelt(system, field), self.stands((system, deal, field))
        self.put((system, deal, field), spelt[(spelt.index(before) + step) % len(spelt) if before in spelt else step])

    def put(self, field: Field, new: Any) -> None:
        """Somebody who is not the hub writes the value, unless it stands there."""
        system, deal, name = field
        self.three.pass_(minutes=7)
        if (system, deal) in self.gone or new == self.stands(field):
            return
        if system == "hubspot":
            self.three.hs("deals", DEALS[deal], **{NAMES[name][0]: new})
        else:
            self.three.sf("Opportunity", sf("006", deal), **{NAMES[name][1]: new})
        self.said[field] = self.touched[(system, deal)] = self.now()
        if field in self.seen and self.read(field) == new:  # away and back since it was read: of that the hub can know nothing
            self.said.pop(field)
            if (before := self.seen[field]) is not None:
                self.said[field] = before
        self.dirty = True

    def pulled(self) -> None:
        self.three.sync(CHANGING)
        for field in UNDATED:
            if field[:2] not in self.gone and self.read(field) == self.stands(field):
                self.seen[field] = self.said.get(field)

    def read(self, field: Field) -> Any:
        """What the lake has of an owner in Salesforce."""
        hub = self.three.sandbox.hub
        with hub.lake.borrowed() as connection:
            rows = hub.lake.relation(connection, "deal")
            mine = f"account = 'salesforce' AND resource = 'Opportunity' AND vendor_id = '{sf('006', field[1])}'"
            found = connection.execute(f"SELECT arg_max(owner_id, version) FROM {rows} WHERE {mine}").fetchone()
        return found[0] if found else None

    def spelt(self, system: str, field: str) -> list[Any]:
        return [both[SYSTEMS.index(system)] for both in VALUES[field]]

    def stands(self, field: Field) -> Any:
        system, deal, name = field
        if system == "hubspot":
            return self.three.in_hs("deals", DEALS[deal], NAMES[name][0])
        return self.three.in_sf("Opportunity", sf("006", deal), NAMES[name][1])

    # -- what other programs do ---------------------------------------------------------------------------------------------
    @precondition(lambda self: len(self.keeps) < 2)
    @rule(system=st.sampled_from(SYSTEMS), deal=st.integers(0, 1), field=st.sampled_from(sorted(NAMES)), value=st.integers(0, 2))
    def second_hub(self, system: str, deal: int, field: str, value: int) -> None:
        """From now on somebody else's hub puts its own value back whenever another one stands there."""
        here = self.spelt(system, field)
        self.keeps[(system, deal, field)] = here[value % len(here)]
        self.dirty = True

    @precondition(lambda self: not self.copies)
    @rule(system=st.sampled_from(SYSTEMS), deal=st.integers(0, 1), field=st.sampled_from(sorted(NAMES)))
    def native_sync(self, system: str, deal: int, field: str) -> None:
        """From now on the vendors' own integration copies the field from this CRM to the other."""
        self.copies.add((system, deal, field))
        self.dirty = True

    @precondition(lambda self: self.keeps or self.copies)
    @rule()
    def they_stop(self) -> None:
        self.keeps.clear()
        self.copies.clear()

    def others_work(self) -> None:
        for field, value in self.keeps.items():
            self.put(field, value)
        for system, deal, field in self.copies:
            here = self.spelt(system, field)
            value, other = self.stands((system, deal, field)), SYSTEMS[1 - SYSTEMS.index(system)]
            if (system, deal) not in self.gone and value in here:
                self.put((other, deal, field), self.spelt(other, field)[here.index(value)])

    @precondition(lambda self: not self.gone)  # one is enough: of an empty world nothing can be said
    @rule(system=st.sampled_from(SYSTEMS), deal=st.integers(0, 1))
    def delete(self, system: str, deal: int) -> None:
        self.three.pass_(minutes=7)
        edits = self.three.sandbox.emulators[system].edits
        if system == "hubspot":
            edits["archive"](type="deals", id=DEALS[deal])
        else:
            edits["delete"](sobject="Opportunity", id=sf("006", deal))
        self.gone.add((system, deal))
        self.dirty = True

    @precondition(lambda self: len(self.out) < len(PEOPLE))
    @rule(system=st.sampled_from((*SYSTEMS, "mailchimp")), person=st.integers(0, 1))
    def opt_out(self, system: str, person: int) -> None:
        self.three.pass_(minutes=7)
        if system == "hubspot":
            person = 0 if self.merged else person
            self.three.hs("contacts", PEOPLE[person], hs_email_optout="true")
        elif system == "salesforce":
            self.three.sf("Contact", sf("003", person), HasOptedOutOfEmail=True)
        else:
            self.three.mc(person, status="unsubscribed")
        self.out.add(person)
        self.dirty = True

    @precondition(lambda self: not self.merged and 1 not in self.out)
    @rule()
    def merge(self) -> None:
        """In HubSpot; not of one who opted out, for what becomes of his refusal there is HubSpot's secret."""
        self.three.pass_(minutes=7)
        self.three.sandbox.emulators["hubspot"].edits["merge"](type="contacts", winner=PEOPLE[0], loser=PEOPLE[1])
        self.merged = self.dirty = True

    @rule(system=st.sampled_from((*SYSTEMS, "mailchimp")), kind=st.sampled_from(("throttle", "error", "cut")), after=st.integers(0, 40))
    def fault(self, system: str, kind: str, after: int) -> None:
        self.three.sandbox.emulators[system].faults.append(Fault(kind, times=2, after=after, retry_after="1"))

    # -- what the hub does --------------------------------------------------------------------------------------------------
    @precondition(lambda self: self.dirty)
    @rule()
    def sync(self) -> None:
        self.pulled()

    @precondition(lambda self: self.dirty)
    @rule(hours=st.sampled_from((1, 26)), late=st.none() | EDITS)
    def night(self, hours: int, late: tuple[str, int, str, int] | None) -> None:
        """Somebody may be late: he edits between the pull and the plan."""
        self.three.pass_(hours=hours)
        self.dirty = False
        self.turn(late)

    @precondition(lambda self: self.nights >= 10)
    @rule()
    def compact(self) -> None:
        self.nights = 0
        run_compact(self.three.sandbox.hub)

    @precondition(lambda self: self.keeps)
    @rule()
    def thaw(self) -> None:
        thaw_fields(self.three.sandbox.hub, frozen_fields(self.three.sandbox.hub))
        self.moves.clear()
        self.dirty = True

    @precondition(lambda self: self.last is not None)
    @rule()
    def undo(self) -> None:
        run, changes, at = self.last
        self.last = None
        before = {c.change_id: self.value(c) for c in changes}
        done = {o.change_id: o.status for o in self.three.undo(run).outcomes}
        for c in changes:
            if c.policy == "strictest" or c.account == "mailchimp":
                assert self.value(c) == before[c.change_id]
            elif done.get(c.change_id) == "undone":
                assert (self.value(c) or None) == c.before, c
                self.moves.pop((c.account, c.vendor_id, c.field), None)
                self.touch(c)
            elif field := FIELD_OF.get((c.account, c.field)):
                edited = self.said.get((c.account, DEAL_OF[c.vendor_id], field))
                away = done.get(c.change_id) in ("already", "failed", "gone", None)
                assert away or (edited and edited > at), c

    def turn(self, late: tuple[str, int, str, int] | None = None) -> list[Change] | None:
        """What was planned; None where a pull was cut short, so that nothing may be."""
        self.nights, self.waited = self.nights + 1, 0
        self.tally["nights"] += 1
        self.others_work()
        self.pulled()
        if late:
            self.change(*late)
        plan = self.three.plan()
        if any("not complete" in r for r in plan.refusals):  # a fault has cut the pull short: the next night will do
            self.dirty = True
            return None
        done = self.three.apply(plan, "large", "shrunk")  # two deals: whatever changes is a large share
        status = {o.change_id: o.status for o in done.outcomes}
        written = [c for c in plan.changes if status.get(c.change_id) == "applied"]
        for c in written:
            self.check(c)
            self.touch(c)
        self.tally["writes"] += len(written)
        if written:
            self.last = (done.run_id, written, self.now())
        return list(plan.changes)

    def value(self, c: Change) -> Any:
        if c.account == "hubspot":
            return canonical(self.three.in_hs(c.target, c.vendor_id, c.field), c.type)
        if c.account == "salesforce":
            return canonical(self.three.in_sf(c.target, c.vendor_id, c.field), c.type)
        return None

    def touch(self, c: Change) -> None:
        if c.vendor_id in DEAL_OF:
            self.touched[(c.account, DEAL_OF[c.vendor_id])] = self.now()
            self.seen.pop((c.account, DEAL_OF[c.vendor_id], FIELD_OF.get((c.account, c.field), "")), None)  # it knows of its own write

    # -- what must hold -----------------------------------------------------------------------------------------------------
    def check(self, c: Change) -> None:
        assert c.after != "subscribed", "consent was loosened"
        assert not (c.field == "hs_email_optout" and c.after != "true"), "consent was loosened"
        name = FIELD_OF.get((c.account, c.field))
        if name is None:
            return
        field, other = (c.account, DEAL_OF[c.vendor_id], name), SYSTEMS[1 - SYSTEMS.index(c.account)]
        assert {field, (other, *field[1:])} & set(self.said), f"nobody asked for {c}"
        if self.policy == "source_of_truth":
            assert c.account == "hubspot", f"the source of truth was overwritten: {c}"
        else:
            self.check_newer(c, field, other)
        self.check_pace(c)

    def check_newer(self, c: Change, field: Field, other: str) -> None:
        """Salesforce dates no owner: there, any later change of the deal may have been one, and the order of the policy counts."""
        mine, theirs = self.said.get(field), self.said.get((other, *field[1:]))
        assert theirs is not None, f"the side that was edited was overwritten: {c}; {self.said}"
        may_be_later = field[2] == "owner" and other == "salesforce" and mine and self.touched[(other, field[1])] >= mine
        assert mine is None or theirs > mine or may_be_later, f"a newer edit was overwritten: {c}; {self.said}"

    def check_pace(self, c: Change) -> None:
        """Once a day, and never a third time the same value over the same other one."""
        key, now = (c.account, c.vendor_id, c.field), self.now()
        last = self.wrote.get(key)
        assert last is None or now - last >= timedelta(hours=23, minutes=59), f"written twice in a day: {c}"
        self.wrote[key] = now
        moves = self.moves.setdefault(key, [])
        moves.append((now, c.before, c.after))
        alike = len({move[1:] for move in moves[-3:]}) == 1
        assert not (alike and len(moves) >= 3 and now - moves[-3][0] <= FIGHT), f"it fights: {moves}"

    def converges(self) -> None:
        """With no person editing, a few nights later there is nothing left to do, whatever the other programs do."""
        for emulator in self.three.sandbox.emulators.values():
            emulator.faults.clear()
        quiet = 0
        for _ in range(10 if self.keeps else 6):  # one quiet night may be the wait for a second pull that sees it
            self.three.pass_(hours=26)
            quiet = quiet + 1 if self.turn() == [] else 0
            if quiet == 2:
                break
        assert quiet == 2, "it does not converge"
        for person in self.out:
            assert self.three.in_mc(person) == "unsubscribed"
            here = PEOPLE[0] if self.merged else PEOPLE[person]
            assert self.three.in_hs("contacts", here, "hs_email_optout") == "true"


@pytest.mark.parametrize("policy", POLICIES)
def test_whatever_people_do_the_hub_settles_and_overwrites_nothing_newer(policy: str, tmp_path: Path) -> None:
    with three(tmp_path, dict.fromkeys(NAMES, POLICIES[policy])) as stand:
        stand.turn()
        stand.pass_(hours=1)
    Hub.begun, Hub.policy, Hub.tally = stand, policy, Counter()
    some = settings(
        max_examples=max(1, STEPS // PER_EXAMPLE) if STEPS else 1, stateful_step_count=PER_EXAMPLE, deadline=None, database=None,
        derandomize=not STEPS, phases=(Phase.generate,), print_blob=False, suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    began = time.process_time()
    try:
        run_state_machine_as_test(Hub, settings=some)
    finally:
        print(f"\n{policy}: {dict(Hub.tally)} in {time.process_time() - began:.0f} s of processor time")
