"""Whatever people do in three systems while the hub works: it converges, loosens no consent, overwrites no newer edit, and can be undone.

HubSpot, Salesforce and Mailchimp are emulated, the hub is the real one, and time moves only when a step says so.
TUNDISH_STEPS=2000 runs so many steps, at random, instead of the few that CI takes.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from three_systems import DEALS, PEOPLE, REPS, Three, sf, three, three_again

from connectors.sandbox.kit import Fault
from core.change import Change, canonical

STEPS = int(os.environ.get("TUNDISH_STEPS", "0"))
PER_EXAMPLE = 25 if STEPS else 6
BOTH_WAYS = "{policy: most_recent, order: [salesforce, hubspot]}"
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


class Hub(RuleBasedStateMachine):
    """What people said last, and what may follow from it."""

    begun: ClassVar[Three]  # a stand where everything was written once

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.said: dict[tuple[str, int, str], datetime] = {}  # system, deal, field → when a person last edited it
        self.gone: set[tuple[str, int]] = set()  # deals that somebody deleted in a system
        self.out: set[int] = set()  # people who opted out somewhere
        self.wrote: dict[tuple[str, str, str], datetime] = {}
        self.last: tuple[str, list[Change], datetime] | None = None  # the last run that wrote, what, and when
        self.merged = False
        self.dirty = False  # something happened since the last night

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
        self.three.pass_(minutes=7)
        place = SYSTEMS.index(system)
        spelt, name = [both[place] for both in VALUES[field]], NAMES[field][place]
        before = self.three.in_hs("deals", DEALS[deal], name) if place == 0 else self.three.in_sf("Opportunity", sf("006", deal), name)
        new = spelt[(spelt.index(before) + step) % len(spelt) if before in spelt else step]
        if new == before:
            return
        if place == 0:
            self.three.hs("deals", DEALS[deal], **{name: new})
        else:
            self.three.sf("Opportunity", sf("006", deal), **{name: new})
        self.said[(system, deal, field)] = self.now()
        self.dirty = True

    @rule(system=st.sampled_from(SYSTEMS), deal=st.integers(0, 1))
    def delete(self, system: str, deal: int) -> None:
        if self.gone:  # one is enough: of an empty world nothing can be said
            return
        self.three.pass_(minutes=7)
        edits = self.three.sandbox.emulators[system].edits
        if system == "hubspot":
            edits["archive"](type="deals", id=DEALS[deal])
        else:
            edits["delete"](sobject="Opportunity", id=sf("006", deal))
        self.gone.add((system, deal))
        self.dirty = True

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

    @rule()
    def merge(self) -> None:
        """In HubSpot; not of one who opted out, for what becomes of his refusal there is HubSpot's secret."""
        if not self.merged and 1 not in self.out:
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
        self.three.sync()

    @precondition(lambda self: self.dirty)
    @rule(hours=st.sampled_from((1, 26)), late=st.none() | EDITS)
    def night(self, hours: int, late: tuple[str, int, str, int] | None) -> None:
        """Somebody may be late: he edits between the pull and the plan."""
        self.three.pass_(hours=hours)
        self.dirty = False
        self.turn(late)

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
            elif field := FIELD_OF.get((c.account, c.field)):
                edited = self.said.get((c.account, DEAL_OF[c.vendor_id], field))
                away = done.get(c.change_id) in ("already", "failed", "gone", None)
                assert away or (edited and edited > at), c

    def turn(self, late: tuple[str, int, str, int] | None = None) -> list[Change] | None:
        """What was planned; None where a pull was cut short, so that nothing may be."""
        self.three.sync()
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
        if written:
            self.last = (done.run_id, written, self.now())
        return list(plan.changes)

    def value(self, c: Change) -> Any:
        if c.account == "hubspot":
            return canonical(self.three.in_hs(c.target, c.vendor_id, c.field), c.type)
        if c.account == "salesforce":
            return canonical(self.three.in_sf(c.target, c.vendor_id, c.field), c.type)
        return None

    # -- what must hold -----------------------------------------------------------------------------------------------------
    def check(self, c: Change) -> None:
        key = (c.account, c.vendor_id, c.field)
        assert c.after != "subscribed", "consent was loosened"
        assert not (c.field == "hs_email_optout" and c.after != "true"), "consent was loosened"
        field = FIELD_OF.get((c.account, c.field))
        if field is None:
            return
        deal = DEAL_OF[c.vendor_id]
        other = SYSTEMS[1 - SYSTEMS.index(c.account)]
        mine, theirs = self.said.get((c.account, deal, field)), self.said.get((other, deal, field))
        assert theirs is not None, f"nobody asked for {c}"
        assert mine is None or theirs > mine or field == "owner", f"a newer edit was overwritten: {c}; {self.said}"
        last = self.wrote.get(key)
        assert last is None or self.now() - last >= timedelta(hours=23, minutes=59), f"written twice in a day: {c}"
        self.wrote[key] = self.now()

    def converges(self) -> None:
        """With nobody editing, a few nights later there is nothing left to do."""
        for emulator in self.three.sandbox.emulators.values():
            emulator.faults.clear()
        for _ in range(5):
            self.three.pass_(hours=26)
            if self.turn() == []:
                break
        self.three.pass_(hours=26)
        assert self.turn() == [], "it does not converge"
        for person in self.out:
            assert self.three.in_mc(person) == "unsubscribed"
            here = PEOPLE[0] if self.merged else PEOPLE[person]
            assert self.three.in_hs("contacts", here, "hs_email_optout") == "true"


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Three:
    with three(tmp_path_factory.mktemp("begun"), dict.fromkeys(NAMES, BOTH_WAYS)) as stand:
        stand.turn()
        stand.pass_(hours=1)
    return stand


def test_whatever_people_do_the_hub_settles_and_overwrites_nothing_newer(begun: Three) -> None:
    Hub.begun = begun
    some = settings(
        max_examples=max(1, STEPS // PER_EXAMPLE) if STEPS else 2, stateful_step_count=PER_EXAMPLE, deadline=None, database=None,
        derandomize=not STEPS, phases=(Phase.generate,), print_blob=False, suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(Hub, settings=some)
