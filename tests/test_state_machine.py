"""Whatever people do in three systems while the hub works: it converges, loosens no consent, overwrites no newer edit, and can be undone.

HubSpot, Salesforce and Mailchimp are emulated, the hub is the real one, and time moves only when a step says so.
TUNDISH_STEPS=2000 runs so many steps, at random, instead of the few that CI takes.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from three_systems import DEALS, PEOPLE, REPS, sf, three

from connectors.sandbox.kit import Fault
from core.change import Change

STEPS = int(os.environ.get("TUNDISH_STEPS", "0"))
PER_EXAMPLE = 25 if STEPS else 10
BOTH_WAYS = "{policy: most_recent, order: [salesforce, hubspot]}"
VALUES: dict[str, tuple[tuple[Any, Any], ...]] = {  # field → pairs of (HubSpot's, Salesforce's) spelling
    "amount": (("1200", 1200.0), ("3400", 3400.0), ("5600", 5600.0)),
    "close_date": (("2026-08-03T12:00:00Z", "2026-08-03"), ("2026-08-20T12:00:00Z", "2026-08-20"), ("2026-09-10T12:00:00Z", "2026-09-10")),
    "stage": (("appointmentscheduled", "Prospecting"), ("qualifiedtobuy", "Qualification"), ("decisionmakerboughtin", "Negotiation/Review")),
    "owner": ((REPS[0], sf("005", 1)), (REPS[1], sf("005", 2))),
}  # fmt: skip
NAMES = {"amount": ("amount", "Amount"), "close_date": ("closedate", "CloseDate"), "stage": ("dealstage", "StageName"),
         "owner": ("hubspot_owner_id", "OwnerId")}  # fmt: skip
SYSTEMS = ("hubspot", "salesforce")
FIELD_OF = {(system, names[i]): field for field, names in NAMES.items() for i, system in enumerate(SYSTEMS)}
DEAL_OF = {id_: n for n, id_ in enumerate(DEALS)} | {sf("006", n): n for n in range(len(DEALS))}


@dataclass(frozen=True)
class Edit:
    at: datetime
    value: int


class Hub(RuleBasedStateMachine):
    """What people said last, and what may follow from it."""

    template: ClassVar[Path]

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.said: dict[tuple[str, int, str], Edit] = {}  # system, deal, field → the last edit by a person
        self.out: set[int] = set()  # people who opted out somewhere
        self.wrote: dict[tuple[str, str, str], datetime] = {}
        self.last: tuple[str, list[Change], datetime] | None = None  # the last run that wrote, what, and when
        self.synced = None

    @initialize()
    def begin(self) -> None:
        home = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.three = self.stack.enter_context(three(home, dict.fromkeys(NAMES, BOTH_WAYS)))
        self.three.turn()
        self.three.pass_(hours=1)
        self.began = self.synced = self.now()

    def teardown(self) -> None:
        try:
            if hasattr(self, "began"):
                self.converges()
        finally:
            self.stack.close()

    def now(self) -> datetime:
        return self.three.sandbox.clock.utc()

    # -- what people do ---------------------------------------------------------------------------------------------------
    @rule(system=st.sampled_from(SYSTEMS), deal=st.integers(0, 1), field=st.sampled_from(sorted(NAMES)), value=st.integers(0, 2))
    def edit(self, system: str, deal: int, field: str, value: int) -> None:
        value %= len(VALUES[field])
        self.three.pass_(minutes=7)
        place = SYSTEMS.index(system)
        new, name = VALUES[field][value][place], NAMES[field][place]
        if system == "hubspot":
            before = self.three.in_hs("deals", DEALS[deal], name)
            self.three.hs("deals", DEALS[deal], **{name: new})
        else:
            before = self.three.in_sf("Opportunity", sf("006", deal), name)
            self.three.sf("Opportunity", sf("006", deal), **{name: new})
        if os.environ.get("TUNDISH_SHOW"):
            print("EDIT", system, deal, field, before, new)
        if before != new:
            self.said[(system, deal, field)] = Edit(self.now(), value)

    @rule(system=st.sampled_from((*SYSTEMS, "mailchimp")), person=st.integers(0, 1))
    def opt_out(self, system: str, person: int) -> None:
        self.three.pass_(minutes=7)
        if system == "hubspot":
            self.three.hs("contacts", PEOPLE[person], hs_email_optout="true")
        elif system == "salesforce":
            self.three.sf("Contact", sf("003", person), HasOptedOutOfEmail=True)
        else:
            self.three.mc(person, status="unsubscribed")
        self.out.add(person)

    @rule(system=st.sampled_from((*SYSTEMS, "mailchimp")), kind=st.sampled_from(("throttle", "error", "cut")), after=st.integers(0, 40))
    def fault(self, system: str, kind: str, after: int) -> None:
        self.three.sandbox.emulators[system].faults.append(Fault(kind, times=2, after=after, retry_after="1"))

    @rule(hours=st.sampled_from((1, 26)))
    def wait(self, hours: int) -> None:
        self.three.pass_(hours=hours)

    # -- what the hub does --------------------------------------------------------------------------------------------------
    @rule()
    def sync(self) -> None:
        self.three.sync()
        self.synced = self.now()

    @rule()
    def night(self) -> None:
        self.turn()

    @precondition(lambda self: self.last is not None)
    @rule()
    def undo(self) -> None:
        run, changes, at = self.last
        self.last = None
        before = {c.change_id: self.value(c) for c in changes}
        done = {o.change_id: o.status for o in self.three.undo(run).outcomes}
        for c in changes:
            if c.policy == "strictest":
                assert self.value(c) == before[c.change_id]
            elif done.get(c.change_id) == "undone":
                assert (self.value(c) or None) == c.before, c
            elif (system := c.account, n := DEAL_OF.get(c.vendor_id), f := FIELD_OF.get((c.account, c.field))) and f:
                edit = self.said.get((system, n, f))
                assert (edit and edit.at > at) or done.get(c.change_id) in ("already", "failed", None), c

    def turn(self) -> list[Change]:
        self.synced = self.now()
        plan, done = self.three.turn()
        status = {o.change_id: o.status for o in done.outcomes}
        written = [c for c in plan.changes if status.get(c.change_id) == "applied"]
        if os.environ.get("TUNDISH_SHOW"):
            print("TURN", self.now(), [(c.account, c.vendor_id[-4:], c.field, c.before, c.after, c.rule, status.get(c.change_id)) for c in plan.changes], [(h.account, h.field, h.reason) for h in plan.held], plan.refusals)
        for c in written:
            self.check(c)
        if written:
            self.last = (done.run_id, written, self.now())
        return list(plan.changes)

    def value(self, c: Change) -> Any:
        from core.change import canonical

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
        assert mine is None or theirs.at > mine.at, f"a newer edit was overwritten: {c}; {self.said}"
        last = self.wrote.get(key)
        assert last is None or self.now() - last >= timedelta(hours=23, minutes=59), f"written twice in a day: {c}"
        self.wrote[key] = self.now()

    def converges(self) -> None:
        """With nobody editing, a few nights later there is nothing left to do."""
        for emulator in self.three.sandbox.emulators.values():
            emulator.faults.clear()
        for _ in range(5):
            self.three.pass_(hours=26)
            if not self.turn():
                break
        self.three.pass_(hours=26)
        assert self.turn() == [], "it does not converge"
        for person in self.out:
            assert self.three.in_mc(person) == "unsubscribed"
            assert self.three.in_hs("contacts", PEOPLE[person], "hs_email_optout") == "true"


def test_whatever_people_do_the_hub_settles_and_overwrites_nothing_newer() -> None:
    many = settings(
        max_examples=max(1, STEPS // PER_EXAMPLE) if STEPS else 3, stateful_step_count=PER_EXAMPLE, deadline=None, database=None,
        derandomize=not STEPS, phases=(Phase.generate,), print_blob=False,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(Hub, settings=many)
