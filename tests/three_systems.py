"""HubSpot, Salesforce and Mailchimp over the same two people and two deals, a hub over them, and the people who edit there."""

from __future__ import annotations

import copy
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sandbox_hub import NOW, Standing, standing_on

from connectors.sandbox.hubspot import HubspotEmulator
from connectors.sandbox.kit import Clock, Emulator
from connectors.sandbox.mailchimp import MailchimpEmulator
from connectors.sandbox.salesforce import SalesforceEmulator
from connectors.sandbox.salesforce_describe import make_id
from core.change import Change, Plan
from core.config import SHIPPED
from core.rules import RULES
from jobs.steps import SyncResult, run_plan, run_sync
from jobs.write_back import Done, run_apply, run_undo

OLD = (NOW - timedelta(days=20)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
BORN = (NOW - timedelta(days=40)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
LIST = "a1f0news01"
PEOPLE = ("1001", "1002")  # HubSpot's ids; the others' are made from their places
DEALS = ("3001", "3002")
REPS = ("41001", "41002")
MAILS = ("ines@us.test", "odo@us.test")
# What can be wished or frozen here; the other rules would only cost time.
WATCHED = {id_ for id_, rule in RULES.items() if rule.fix_field} | {"C-05", "D-02", "T-05", "T-06"}
# What is read: where the people and the deals are, and their histories.
RESOURCES = (
    "contacts", "companies", "deals", "owners", "pipelines", "deal_stages", "contact_stages", "deal_contacts", "deal_companies", "User",
    "Account", "Contact", "Opportunity", "OpportunityHistory", "OpportunityStage", "OpportunityContactRole", "members", "tags",
)  # fmt: skip
# What of it these people and the hub change.
CHANGING = (
    "contacts", "deals", "deal_stages", "contact_stages", "deal_contacts", "Contact", "Opportunity", "OpportunityHistory", "members",
)  # fmt: skip
_ADDED = ("dealstage", "hubspot_owner_id", "hs_email_optout", "StageName", "Amount", "CloseDate", "OwnerId")


def sf(prefix: str, place: int) -> str:
    return make_id(prefix, place + 1)


@dataclass(frozen=True)
class Three:
    """The stand. Deals and people are named by their place: 0 or 1."""

    sandbox: Standing

    # -- the hub --------------------------------------------------------------------------------------------------------
    def sync(self, resources: Sequence[str] = RESOURCES) -> SyncResult:
        return run_sync(self.sandbox.hub, quiet=True, resources=resources)

    def plan(self) -> Plan:
        return run_plan(self.sandbox.hub)

    def apply(self, plan: Plan, *allow: str) -> Done:
        return run_apply(self.sandbox.hub, plan, allow=frozenset(allow))

    def turn(self, resources: Sequence[str] = RESOURCES) -> tuple[Plan, Done]:
        """What a nightly job does."""
        self.sync(resources)
        plan = self.plan()
        return plan, self.apply(plan)

    def undo(self, run: str, only: Callable[[Change], bool] | None = None) -> Done:
        return run_undo(self.sandbox.hub, run, only=only)

    def pass_(self, **span: float) -> None:
        self.sandbox.clock.advance(timedelta(**span).total_seconds())

    # -- the vendors ----------------------------------------------------------------------------------------------------
    def hs(self, kind: str, id_: str, by: str = "userId:41001", **values: Any) -> None:
        self.sandbox.emulators["hubspot"].edits["update"](type=kind, id=id_, properties=values, by=by)

    def sf(self, sobject: str, id_: str, **values: Any) -> None:
        self.sandbox.emulators["salesforce"].edits["update"](sobject=sobject, id=id_, values=values, by=sf("005", 7))

    def mc(self, person: int, **values: Any) -> None:
        self.sandbox.emulators["mailchimp"].edits["update_member"](LIST, f"p{person}@firm.test", values)

    def in_hs(self, kind: str, id_: str, name: str) -> Any:
        emulator: Any = self.sandbox.emulators["hubspot"]
        return emulator.store.tables[kind].rows[id_].props.get(name)

    def in_sf(self, sobject: str, id_: str, name: str) -> Any:
        emulator: Any = self.sandbox.emulators["salesforce"]
        return emulator.org.tables[sobject][id_].get(name)

    def in_mc(self, person: int) -> str:
        emulator: Any = self.sandbox.emulators["mailchimp"]
        return str(emulator.audiences.member(LIST, f"p{person}@firm.test")["status"])


@contextmanager
def three(home: Path, policies: Mapping[str, Any] | None = None, watched: Collection[str] = WATCHED) -> Iterator[Three]:
    """A fresh stand at NOW. Every field that can be written is written, in both CRMs. Of the rules only `watched` are on."""
    _write_mappings(home / "mappings", policies or {}, watched)
    clock = Clock(NOW.timestamp())
    emulators: dict[str, Emulator] = {
        "hubspot": HubspotEmulator(_hubspot(), clock=clock, limits=False, ticks=clock.now),
        "salesforce": SalesforceEmulator(_salesforce(), clock=clock),
        "mailchimp": MailchimpEmulator(_mailchimp(), clock=clock),
    }
    with standing_on(home, emulators, clock, {}) as stood:
        yield Three(stood)


@contextmanager
def three_again(home: Path, was: Three) -> Iterator[Three]:
    """A stand like the one that was, which is closed, as it stood in the end."""
    shutil.copytree(was.sandbox.home, home, dirs_exist_ok=True)
    emulators, clock = copy.deepcopy((dict(was.sandbox.emulators), was.sandbox.clock))
    for emulator in emulators.values():
        emulator._table = []  # routes lead to the emulator that made them
    with standing_on(home, emulators, clock, {}) as stood:
        yield Three(stood)


def _write_mappings(folder: Path, policies: Mapping[str, Any], watched: Collection[str]) -> None:
    """The shipped ones with the pushes that are one uncommented line away, and a funnel that asks only what is watched."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("hubspot", "salesforce"):
        text = (SHIPPED / f"{name}.yaml").read_text()
        (folder / f"{name}.yaml").write_text(re.sub(rf"^(\s+)# ((?:{'|'.join(_ADDED)}): \{{from)", r"\1\2", text, flags=re.MULTILINE))
    off = "".join(f"\n  {id_}: {{enabled: false}}" for id_ in RULES if id_ not in watched)
    text = (SHIPPED / "funnel.yaml").read_text().replace("rules: {}", f"rules:{off}")
    for name, said in policies.items():
        text = re.sub(rf"^  {name}: \{{policy.*$", f"  {name}: {said}", text, flags=re.MULTILINE)
    (folder / "funnel.yaml").write_text(text)


def _hubspot() -> dict[str, Any]:
    def thing(id_: str, **properties: str) -> dict[str, Any]:
        return {"id": id_, "properties": properties, "createdAt": BORN, "updatedAt": OLD, "archived": False}

    def link(kind: str, id_: str, to_kind: str, to_id: str, type_id: int) -> dict[str, Any]:
        return {"from_type": kind, "from_id": id_, "to_type": to_kind, "to_id": to_id, "type_id": type_id}

    owners = [
        {
            "id": i,
            "email": mail,
            "firstName": "Rep",
            "lastName": i,
            "userId": int(i),
            "archived": False,
            "createdAt": BORN,
            "updatedAt": BORN,
        }
        for i, mail in zip(REPS, MAILS, strict=True)
    ]
    contacts = [
        thing(i, email=f"p{n}@firm.test", firstname="P", lastname=f"N{n}", lifecyclestage="opportunity", hs_email_optout="false",
              associatedcompanyid="2001", salesforcecontactid=sf("003", n), hubspot_owner_id=REPS[0])
        for n, i in enumerate(PEOPLE)
    ]  # fmt: skip
    deals = [
        thing(i, dealname=f"Deal {n}", amount=str(1000 * (n + 1)), deal_currency_code="EUR", closedate="2026-08-20T12:00:00Z",
              pipeline="default", dealstage="qualifiedtobuy", hs_is_closed="false", hs_is_closed_won="false",
              hubspot_owner_id=REPS[0], salesforceopportunityid=sf("006", n), hs_v2_date_entered_current_stage=OLD)
        for n, i in enumerate(DEALS)
    ]  # fmt: skip
    company = thing("2001", name="Firm", domain="firm.test", lifecyclestage="opportunity", salesforceaccountid=sf("001", 0))
    links = [link("deals", d, "contacts", c, 3) for d, c in zip(DEALS, PEOPLE, strict=True)]
    links += [link("deals", d, "companies", "2001", 341) for d in DEALS] + [link("contacts", c, "companies", "2001", 1) for c in PEOPLE]
    return {"owners": owners, "objects": {"contacts": contacts, "companies": [company], "deals": deals}, "associations": links}


def _salesforce() -> dict[str, Any]:
    stamps = {"CreatedDate": BORN, "LastModifiedDate": OLD, "SystemModstamp": OLD, "IsDeleted": False}

    def row(prefix: str, place: int, **values: Any) -> dict[str, Any]:
        return {"Id": sf(prefix, place), **stamps, **values}

    users = [row("005", n + 1, Email=m, Name=f"Rep {n}", LastName=f"Rep {n}", Username=m, IsActive=True) for n, m in enumerate(MAILS)]
    users.append(row("005", 7, Email="desk@us.test", Name="Desk", LastName="Desk", Username="desk@us.test", IsActive=True))
    firm = row("001", 0, Name="Firm", Website="firm.test", HubSpot_Id__c="2001", OwnerId=sf("005", 1))
    contacts = [
        row("003", n, FirstName="P", LastName=f"N{n}", Email=f"p{n}@firm.test", AccountId=firm["Id"], HasOptedOutOfEmail=False,
            HubSpot_Id__c=i, OwnerId=sf("005", 1))
        for n, i in enumerate(PEOPLE)
    ]  # fmt: skip
    deals = [
        row("006", n, Name=f"Deal {n}", Amount=1000.0 * (n + 1), CloseDate="2026-08-20", StageName="Qualification", IsClosed=False,
            IsWon=False, Probability=10, ForecastCategory="Pipeline", AccountId=firm["Id"], ContactId=sf("003", n), OwnerId=sf("005", 1),
            HubSpot_Id__c=i, LastStageChangeDate=OLD)
        for n, i in enumerate(DEALS)
    ]  # fmt: skip
    roles = [row("00K", n, OpportunityId=sf("006", n), ContactId=sf("003", n), Role="Buyer", IsPrimary=True) for n in range(len(DEALS))]
    objects = {"User": users, "Account": [firm], "Contact": contacts, "Opportunity": deals, "OpportunityContactRole": roles}
    own = {"Tundish_Stage__c": "text", "Tundish_Stage_Date__c": "date", "Tundish_Open_Deals__c": "double"}
    fields = [{"name": name, "type": kind, "length": 255} for name, kind in own.items()]
    return {"objects": objects, "fields": dict.fromkeys(("Account", "Contact", "Lead", "Opportunity"), fields)}


def _mailchimp() -> dict[str, Any]:
    fields = [{"tag": t, "name": t, "type": "text", "required": False} for t in ("FNAME", "LNAME", "COMPANY", "HUBSPOTID")]
    members = [
        {"email_address": f"p{n}@firm.test", "status": "subscribed", "merge_fields": {"HUBSPOTID": i}, "timestamp_signup": BORN,
         "timestamp_opt": BORN, "last_changed": OLD, "contact_id": f"c{n}", "unique_email_id": f"u{n}", "tags": []}
        for n, i in enumerate(PEOPLE)
    ]  # fmt: skip
    return {"lists": [{"id": LIST, "name": "News", "date_created": BORN, "merge_fields": fields}], "members": {LIST: members}}
