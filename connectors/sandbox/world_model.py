"""The things of the sandbox's company before any vendor sees them: people, companies, deals, and what was planted.

Mutable on purpose: a plant takes a clean case and spoils it. Times are seconds since 1970, money is in cents.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Any

from connectors.sandbox.world_names import FIRST, LAST, SOURCE, TITLE, company_name, member_id, sf_id

if TYPE_CHECKING:
    from connectors.sandbox.world_web import Web

Ref = list[str]  # [account, resource, vendor id]


@dataclass(slots=True)
class Company:
    key: str
    number: int
    name: str
    domain: str
    created: int
    owner: int
    hs_id: str
    sf_id: str
    people: list[Person] = field(default_factory=list)
    deals: list[Deal] = field(default_factory=list)
    in_salesforce: bool = False  # has an Account: somebody there is a Contact, or a deal exists
    in_hubspot: bool = True
    in_activecampaign: bool = False
    lifecycle: str = ""  # HubSpot's, where it is not what deals and contacts say
    parent: Company | None = None

    @property
    def going(self) -> bool:
        """Something was sold or may be."""
        return any(d.outcome != "lost" for d in self.deals)

    @property
    def ac_id(self) -> str:
        return str(40_001 + self.number)

    def refs(self) -> list[Ref]:
        known = (
            (self.in_hubspot, "hubspot", "companies", self.hs_id), (self.in_salesforce, "salesforce", "Account", self.sf_id),
            (self.in_activecampaign, "activecampaign", "accounts", self.ac_id),
        )  # fmt: skip
        return [[account, resource, key] for there, account, resource, key in known if there]


@dataclass(slots=True)
class Membership:
    audience: int  # 0 newsletter, 1 product news
    status: str
    signed_up: int
    changed: int


@dataclass(slots=True)
class Person:
    key: str
    number: int
    first: str
    last: str
    email: str
    company: Company | None
    owner: int
    source: int
    created: int
    rung: str = "M10"  # the truth: furthest milestone reached
    in_hubspot: bool = True
    lifecycle: list[tuple[str, int]] = field(default_factory=list)  # HubSpot's, oldest first
    lead_status: str | None = None
    forgotten: bool = False  # nobody noted that his lost deals are over
    blank: bool = False  # HubSpot shows no lifecycle
    hs_lead_stage: str | None = None  # stage of the HubSpot lead object, if there is one
    sf: str = ""  # "" lead contact converted
    sf_status: list[tuple[str, int]] = field(default_factory=list)  # of the Salesforce Lead, oldest first
    converted_at: int = 0
    memberships: list[Membership] = field(default_factory=list)
    alt_email: str | None = None  # the address Mailchimp knows; HubSpot has it as an additional one
    client_id: str | None = None
    opted_out: bool = False
    opted_out_at: int = 0  # three days after he came, unless set
    bounced: bool = False
    disqualified: bool = False
    deals: list[Deal] = field(default_factory=list)
    hs_id: str = ""
    lead_id: str = ""
    contact_id: str = ""
    hs_lead_id: str = ""
    badge: str = ""  # of the trade fair, in its list of leads
    in_activecampaign: bool = False
    ac_listed: bool = True  # on a list there, or just a contact
    untagged: bool = False  # the site did not count his form
    lead_source: str = ""  # Salesforce's, where it is not what HubSpot says
    ac_status: int = 1  # on the lists there: 1 active, 2 unsubscribed, 3 bounced
    phone: str = ""  # in international form; made of the number unless set
    at_company: bool = True  # the CRMs know whose colleague he is
    marketing_contact: bool | None = None  # HubSpot bills him; unless set: who is not opted out
    stored_contact: str = ""  # the Salesforce contact HubSpot has stored, where it is not his own
    stored_hubspot: str = ""  # the HubSpot contact Salesforce has stored, where it is not his own
    answered: list[tuple[int, bool]] = field(default_factory=list)  # when Salesforce put him into the webinar's campaign; did he answer?
    came: list[int] = field(default_factory=list)  # visits by the webinar's link
    same_as: str = ""  # the truth: another entry of this person, which nothing but likeness tells

    @property
    def over(self) -> bool:
        """He came as far as a deal, and none is open or won."""
        return bool(self.lifecycle) and self.lifecycle[-1][0] == "opportunity" and not any(d.outcome != "lost" for d in self.deals)

    @property
    def ac_id(self) -> str:
        return str(100_001 + self.number)

    @property
    def ac_lists(self) -> tuple[tuple[int, str], ...]:
        """(list, id of the membership) in ActiveCampaign."""
        lists = () if not (self.in_activecampaign and self.ac_listed) else (1, 2) if self.number % 5 == 0 else (1,)
        return tuple((one, str(600_000 + 2 * self.number + one)) for one in lists)

    @property
    def mail(self) -> str:
        """The address Mailchimp has."""
        return self.alt_email or self.email

    def refs(self) -> list[Ref]:
        found: list[Ref] = []
        if self.in_hubspot:
            found.append(["hubspot", "contacts", self.hs_id])
        if self.hs_lead_stage:
            found.append(["hubspot", "leads", self.hs_lead_id])
        if self.sf in ("lead", "converted"):
            found.append(["salesforce", "Lead", self.lead_id])
        if self.sf in ("contact", "converted"):
            found.append(["salesforce", "Contact", self.contact_id])
        if self.memberships:
            found.append(["mailchimp", "members", member_id(self.mail)])
        if self.in_activecampaign:
            found.append(["activecampaign", "contacts", self.ac_id])
            found += [["activecampaign", "contactLists", f"{self.ac_id}:{one}:{key}"] for one, key in self.ac_lists]
        if self.badge:
            found.append(["files", "leads", self.badge])
        return found


@dataclass(slots=True)
class Deal:
    key: str
    number: int
    company: Company
    people: list[Person]
    name: str
    created: int
    owner: int
    cents: int | None
    path_hs: list[tuple[str, int]]  # stages entered in HubSpot, oldest first
    path_sf: list[tuple[str, int]]
    close_hs: int
    close_sf: str  # a plain date
    stage: str  # the truth: Prospecting Qualifying Proposing Closing Won Lost
    outcome: str  # the truth: open won lost
    hs_id: str
    sf_id: str
    cents_sf: int | None = None
    owner_sf: int = 0
    amounts: list[tuple[int | None, int, str]] = field(default_factory=list)  # earlier values, oldest first: cents, when, writer
    first_close: int | None = None  # the close date before it was pushed, if it was
    kind: str = "newbusiness"
    source: int = 0
    pipeline: str = "default"
    writers: tuple[str, ...] = ()  # alternating writers of the stages; one rep unless set
    in_hubspot: bool = True
    in_salesforce: bool = True
    with_people: bool = True
    with_company: bool = True
    deleted_in_salesforce: bool = False
    event: bool = False  # the web conversion event of a won deal exists
    disputed: bool = False  # planted so that no system alone has the truth
    registration: str = ""  # the partner's number of it, in his report
    currency: str = "EUR"  # HubSpot's
    undated: bool = False  # HubSpot has no close date
    pushes: list[tuple[int, int]] = field(default_factory=list)  # close dates and when they were set, oldest first, the present one last
    synced: bool = True  # flagged to sync
    active: int | None = None  # the last activity, if it is not a few days ago
    reasons: tuple[str | None, str | None] = ("Price", "Price")  # why it was lost: HubSpot's, Salesforce's
    chance: tuple[int, int] | None = None  # Salesforce: a probability other than its stage's, and when it was set
    plans: tuple[int | None, int | None] | None = None  # the next activity: HubSpot's, Salesforce's; if not in a few days
    monthly: bool = False  # the line items are paid every month
    items: tuple[int, ...] = ()  # HubSpot's line items, in cents; won deals have some that add up
    unseen: tuple[str, int] | None = None  # a stage Salesforce's history has and its list does not show
    ends: int | None = None  # when what was sold ends
    path_ac: list[tuple[str, int]] = field(default_factory=list)  # stages entered in ActiveCampaign; "won" or "lost" ends it

    @property
    def ac_id(self) -> str:
        return str(900_001 + self.number)

    def touched(self, now: int) -> int:
        """The last activity: of open deals a few days ago, of closed ones when they were closed."""
        moved = max([self.path_hs[-1][1], *(t for _, t, _ in self.amounts)])
        usual = moved if self.outcome != "open" else max(moved, now - (2 + self.number % 5) * 86_400)
        return usual if self.active is None else self.active

    def line_items(self) -> tuple[int, ...]:
        if self.items or self.outcome != "won" or not self.cents or self.number % 4:
            return self.items
        return self.cents * 2 // 3, self.cents - self.cents * 2 // 3

    def planned(self, now: int) -> tuple[int | None, int | None]:
        """The next activity in HubSpot and in Salesforce: where the deal is open there is one in the days to come."""
        soon = now + (1 + self.number % 9) * 86_400
        done = [path[-1][0].lower().startswith("closed") for path in (self.path_hs, self.path_sf) if path]
        usual = [None if closed else soon for closed in [*done, True, True][:2]]
        return (usual[0], usual[1]) if self.plans is None else self.plans

    def refs(self) -> list[Ref]:
        found: list[Ref] = []
        if self.in_hubspot:
            found.append(["hubspot", "deals", self.hs_id])
        if self.in_salesforce and not self.deleted_in_salesforce:
            found.append(["salesforce", "Opportunity", self.sf_id])
        if self.path_ac:
            found.append(["activecampaign", "deals", self.ac_id])
        if self.registration:
            found.append(["files", "deals", self.registration])
        return found


@dataclass(slots=True)
class Extra:
    """A further vendor record of a person: a duplicate, a merged or an archived one."""

    vendor: str
    resource: str
    person: Person
    id: str
    values: dict[str, Any]  # properties or fields that differ from the person's own record
    marks: dict[str, Any]  # archived / archivedAt / merged_into

    def refs(self) -> list[Ref]:
        return [[self.vendor, self.resource, self.id]]


@dataclass(slots=True)
class Signal:
    """A further event about a person that the site's analytics sent to HubSpot."""

    person: Person
    name: str
    at: int
    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class Shown:
    """One vendor record that is no person, company or deal: a stage, an experiment."""

    vendor: str
    resource: str
    id: str

    def refs(self) -> list[Ref]:
        return [[self.vendor, self.resource, self.id]]


Thing = Company | Person | Deal | Extra | Shown


@dataclass(slots=True)
class Mark:
    rule: str
    things: tuple[Thing, ...]
    note: str
    may_fire: tuple[str, ...] = ()  # rules outside the built ones that a decoy may rightly raise
    about: str = ""  # what is wrong once, however many records show it: a stage, a week

    def row(self) -> dict[str, Any]:
        row: dict[str, Any] = {"rule": self.rule, "records": [ref for thing in self.things for ref in thing.refs()], "note": self.note}
        more = {"may_fire": list(self.may_fire), "about": self.about}
        return row | {name: value for name, value in more.items() if value}


@dataclass(slots=True)
class Draft:
    """The world while it is being made."""

    now: int
    rng: Random
    web: Web = field(init=False)
    companies: list[Company] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    deals: list[Deal] = field(default_factory=list)
    extras: list[Extra] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)
    strays: list[tuple[str, int]] = field(default_factory=list)  # forms that never became anybody: browser's id, when
    planted: list[Mark] = field(default_factory=list)
    decoys: list[Mark] = field(default_factory=list)
    emails: set[str] = field(default_factory=set)
    odd: set[str] = field(default_factory=set)  # rules whose discrepancy is in how a vendor is set up, or in one of its tests
    shown: list[tuple[str, int, int]] = field(default_factory=list)  # visitor, variant (0 or 1) and when, of the first Optimizely test
    spells: int = 0

    def plant(self, rule: str, note: str, *things: Thing, about: str = "") -> None:
        """One more discrepancy, or, with what it is `about`, more records of one that is there already."""
        at = next((i for i, m in enumerate(self.planted) if about and (m.rule, m.about) == (rule, about)), None)
        if at is None:
            self.planted.append(Mark(rule, things, note, about=about))
        else:
            self.planted[at] = replace(self.planted[at], things=(*self.planted[at].things, *things))

    def decoy(self, rule: str, note: str, *things: Thing, may_fire: tuple[str, ...] = ()) -> None:
        self.decoys.append(Mark(rule, things, note, may_fire))

    def company(self, created: int) -> Company:
        n = len(self.companies)
        name, domain = company_name(n)
        company = Company(f"C{n + 1:04d}", n, name, domain, created, n % 5, str(2_000_000_001 + n), sf_id("001", n + 1))
        self.companies.append(company)
        return company

    def person(self, company: Company | None, created: int, *, email: str | None = None) -> Person:
        n = len(self.people)
        rng = self.rng
        first, last = FIRST[int(rng.random() * len(FIRST))], LAST[int(rng.random() * len(LAST))]
        domain = company.domain if company else f"reader{n + 1}.example"
        person = Person(
            f"P{n + 1:04d}", n, first, last, email or self._address(first, last, domain), company, company.owner if company else 0,
            int(rng.random() * len(SOURCE)), created, hs_id=str(1_000_001 + n), lead_id=sf_id("00Q", n + 1),
            contact_id=sf_id("003", n + 1), hs_lead_id=str(4_000_000_001 + n),
        )  # fmt: skip
        self.emails.add(person.email)
        self.people.append(person)
        if company:
            company.people.append(person)
        return person

    def _address(self, first: str, last: str, domain: str) -> str:
        email = f"{first}.{last}@{domain}".lower()
        number = 2
        while email in self.emails:
            email = f"{first}.{last}{number}@{domain}".lower()
            number += 1
        return email


def job_title(person: Person) -> str:
    return TITLE[person.number % len(TITLE)]
