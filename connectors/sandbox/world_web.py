"""The company's web site as it really was: visitors, their visits, the experiments they saw and what they did there.

GA4, Optimizely, VWO and Hotjar each show their own cut of it. Made when first asked for, from a generator of its own.
A visitor who became a person carries the site's ids into HubSpot by hidden form fields (`Person.client_id` is GA4's).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any

from connectors.sandbox.world_names import DAY, HOUR, iso

if TYPE_CHECKING:
    from connectors.sandbox.world_model import Draft, Person

ANONYMOUS = 3  # visitors nobody knows, per person who came by the web
HISTORY = 120  # days of web history that are kept
TIMEZONE = "Europe/Berlin"
PAGES = ("/", "/products/vibration", "/products/flow", "/pricing", "/cases/bottling", "/blog/uptime", "/contact")


@dataclass(frozen=True, slots=True)
class Channel:
    """Where a visit came from. `group` is GA4's default channel group."""

    source: str
    medium: str
    campaign: str
    group: str


# In the order of world_names.SOURCE: a person's original source is the channel of the first visit.
CHANNELS = (
    Channel("google", "organic", "(organic)", "Organic Search"),
    Channel("google", "cpc", "sensors-brand-eu", "Paid Search"),
    Channel("sensor-letter", "email", "monthly-letter", "Email"),
    Channel("(direct)", "(none)", "(direct)", "Direct"),
    Channel("partner.example", "referral", "(referral)", "Referral"),
    Channel("linkedin.com", "social", "uptime-stories", "Organic Social"),
    Channel("fair-utrecht", "offline", "hall-4", "Unassigned"),
)


# A campaign that Salesforce lists too; only people of planted cases come by it.
WEBINAR = Channel("flow-letter", "email", "flow_sensor_webinar", "Email")


@dataclass(frozen=True, slots=True)
class Trial:
    """An experiment that ran on the site. `shares` are what each variant should get; the first variant is the baseline."""

    tool: str  # optimizely or vwo
    key: str
    name: str
    page: str
    began: int  # days before now
    ended: int | None
    variants: tuple[str, ...]
    shares: tuple[float, ...]


TRIALS = (
    Trial(
        "optimizely", "pricing_anchor", "Pricing page: yearly price first", "/pricing", 330, 20, ("original", "yearly_first"), (0.5, 0.5)
    ),
    Trial("optimizely", "contact_short", "Contact form: four fields", "/contact", 45, None, ("original", "four_fields"), (0.5, 0.5)),
    Trial("vwo", "home_hero", "Home: factory picture", "/", 100, 30, ("control", "factory", "engineer"), (0.34, 0.33, 0.33)),
    Trial("vwo", "case_teaser", "Cases: numbers first", "/cases/bottling", 40, None, ("control", "numbers"), (0.5, 0.5)),
)


# Tests of planted cases: how many saw each variant, and whom of them web analytics did not (of how many each; who became a lead).
# They were long ago: the forms of those days are nobody's leads any more.
@dataclass(frozen=True, slots=True)
class Counted:
    trial: Trial
    each: int  # visitors of each variant
    leads: int  # of each variant: the first of them
    hidden: int  # of each variant: the last of them refused to be counted by web analytics
    lost: int = 0  # of each variant: the form's event did not reach web analytics


def _counted(key: str, name: str, began: int, ended: int) -> Trial:
    return Trial("vwo", key, name, f"/products/{key}", began, ended, ("control", "new"), (0.5, 0.5))


COUNTED = {
    "X-03": Counted(_counted("flow_prices", "Flow: prices", 130, 112), 60, 0, 5),
    "X-03 goals": Counted(_counted("flow_form", "Flow: form beside the text", 130, 112), 60, 30, 0, 2),
    "X-03 near": Counted(_counted("flow_tabs", "Flow: tabs", 130, 112), 60, 30, 1, 1),
    "X-03 unread": Counted(_counted("flow_photo", "Flow: photo", 335, 322), 60, 0, 30),  # begun before the export does
}


@dataclass(frozen=True, slots=True)
class Event:
    """Something done on the site. `name` is the GA4 event: form_start, generate_lead, file_download or close_convert_lead."""

    name: str
    at: int
    page: str
    cents: int | None = None


@dataclass(slots=True)
class Visit:
    at: int
    channel: Channel
    pages: tuple[str, ...]  # in order; the first is the landing page
    engaged: bool
    events: list[Event] = field(default_factory=list)

    @property
    def day(self) -> int:
        """Days since 1970, by UTC. Times of visits keep clear of midnight, so it is the same day in the site's zone."""
        return self.at // DAY


@dataclass(slots=True)
class Visitor:
    number: int
    client_id: str  # GA4's cookie: two numbers with a dot
    optimizely_id: str  # Optimizely's optimizelyEndUserId cookie
    vwo_id: str  # VWO's _vwo_uuid cookie
    person: Person | None
    country: str
    device: str  # desktop mobile tablet
    browser: str
    visits: list[Visit]
    variants: dict[str, tuple[str, int]]  # trial key → variant, first time seen
    hidden: bool = False  # refused to be counted by web analytics; the tests need no consent
    unsent: bool = False  # the form told the tests, and its event for web analytics was lost


class Web:
    """All visitors; the known ones first, in the order of the people."""

    def __init__(self, draft: Draft, rng: Random) -> None:
        self._draft, self._rng = draft, rng

    @cached_property
    def visitors(self) -> list[Visitor]:
        known = [p for p in self._draft.people if p.client_id]
        made = [self._visitor(i, p) for i, p in enumerate(known)]
        made += [self._visitor(len(known) + i, None) for i in range(ANONYMOUS * len(known))]
        made += [_stray(len(made) + i, client, at) for i, (client, at) in enumerate(self._draft.strays)]
        for name, counted in COUNTED.items():
            if name in self._draft.odd:
                made += _tested(counted, self._draft.now, len(made))
        return made

    @cached_property
    def of(self) -> Mapping[str, Visitor]:
        """Person key → the visitor he was."""
        return {v.person.key: v for v in self.visitors if v.person}

    def truth(self) -> list[dict[str, Any]]:
        """Who of the people was which visitor, and what he was shown; nothing when no vendor showed the web."""
        if "visitors" not in vars(self):
            return []
        return [
            {
                "person": v.person.key,
                "client_id": v.client_id,
                "optimizely_id": v.optimizely_id,
                "vwo_id": v.vwo_id,
                "first_visit": iso(v.visits[0].at),
                "channel": v.visits[0].channel.group,
                "variants": {key: variant for key, (variant, _) in v.variants.items()},
            }
            for v in self.visitors
            if v.person
        ]

    # -- making ------------------------------------------------------------------------------------------------------
    def _visitor(self, number: int, person: Person | None) -> Visitor:
        rng = self._rng
        client_id = person.client_id if person and person.client_id else f"{900_000_000 + number}.{1_690_000_000 + number}"
        device = ("desktop", "desktop", "mobile", "tablet")[int(rng.random() * 4)]
        country = ("Germany", "Netherlands", "France", "Denmark", "Finland", "Portugal")[int(rng.random() * 6)]
        browser = ("Chrome", "Firefox", "Safari", "Edge")[int(rng.random() * 4)]
        optimizely, vwo = web_ids(client_id)
        visits = self._known_visits(person) if person else self._unknown_visits()
        visitor = Visitor(number, client_id, optimizely, vwo, person, country, device, browser, visits, {})
        self._bucket(visitor)
        return visitor

    def _known_visits(self, person: Person) -> list[Visit]:
        """A first visit by the channel he came by, one on which he left his address, later ones; the sale's own event."""
        asked = next((t for stage, t in person.lifecycle if stage == "lead"), person.created)
        channel = CHANNELS[person.source]
        first = self._visit(asked - int((1 + 6 * self._rng.random()) * DAY), channel)
        form = self._visit(asked, CHANNELS[3] if self._rng.random() < 0.4 else channel, at_desk=False)
        form.pages, form.engaged = ("/pricing", "/contact"), True
        if not person.untagged and any(stage == "lead" for stage, _ in person.lifecycle):
            form.events = [Event("form_start", form.at + 40, "/contact"), Event("generate_lead", form.at + 95, "/contact")]
        later = [self._visit(asked + int((3 + 20 * self._rng.random()) * DAY), CHANNELS[2]) for _ in range(person.number % 3)]
        later += [self._visit(at, WEBINAR) for at in person.came]
        return sorted((v for v in (first, form, *later) if v.at < self._draft.now - 2 * HOUR), key=lambda v: v.at) or [first]

    def _unknown_visits(self) -> list[Visit]:
        channel = CHANNELS[int(self._rng.random() * 6)]
        start = self._draft.now - int((1.2 + (HISTORY - 2) * self._rng.random()) * DAY)
        visits = [self._visit(start, channel)]
        if self._rng.random() < 0.3 and start + 2 * DAY < self._draft.now - DAY:
            visits.append(self._visit(start + 2 * DAY, CHANNELS[3]))
        return visits

    def _visit(self, at: int, channel: Channel, *, at_desk: bool = True) -> Visit:
        """`at_desk` moves the visit into the middle of its day."""
        if at_desk:
            at = at - at % DAY + 8 * HOUR + int(self._rng.random() * 9 * HOUR)
        n = 1 + int(self._rng.random() * 4)
        pages = tuple(PAGES[int(self._rng.random() * len(PAGES))] for _ in range(n))
        return Visit(at, channel, pages, n > 1 or self._rng.random() < 0.3)

    def _bucket(self, visitor: Visitor) -> None:
        """Who comes to the page of a running experiment sees one of its variants, and the same one from then on."""
        now = self._draft.now
        for trial in TRIALS:
            began, ended = now - trial.began * DAY, now - (trial.ended or 0) * DAY
            seen = next((v.at for v in visitor.visits if began <= v.at < ended and trial.page in v.pages), None)
            if seen is not None:
                luck = Random(f"{visitor.client_id}/{trial.key}").random()  # as tools do: by the visitor's id, whatever else happens
                visitor.variants[trial.key] = (_drawn(luck, trial), seen)


def _stray(number: int, client_id: str, at: int) -> Visitor:
    """One visit and a form, of somebody who is in no system."""
    visit = Visit(at, CHANNELS[0], ("/pricing", "/contact"), True, [Event("generate_lead", at + 95, "/contact")])
    return Visitor(number, client_id, *web_ids(client_id), None, "Germany", "desktop", "Chrome", [visit], {})


def _tested(counted: Counted, now: int, number: int) -> list[Visitor]:
    """Visitors of a test, evenly from its first day to its last; with one who came every day before, between and after."""
    trial, found = counted.trial, list[Visitor]()
    first, last = now - trial.began * DAY, now - (trial.ended or 0) * DAY
    for variant in trial.variants:
        for i in range(counted.each):
            at = first + 9 * HOUR + i * (last - first) // counted.each
            visit = Visit(at, CHANNELS[0], (trial.page, "/contact"), True)
            visit.events = [Event("generate_lead", at + 95, "/contact")] if i < counted.leads else []
            client = f"{2_200_000_000 + number + len(found)}.{1_780_000_000 + number}"
            visitor = Visitor(
                number + len(found), client, *web_ids(client), None, "Germany", "desktop", "Chrome", [visit], {trial.key: (variant, at)}
            )
            visitor.hidden, visitor.unsent = i >= counted.each - counted.hidden, i < counted.lost
            found.append(visitor)
    daily = [Visit(day + 12 * HOUR, CHANNELS[3], ("/blog/uptime",), False) for day in range(first - 3 * DAY, last + 4 * DAY, DAY)]
    client = f"{2_200_000_000 + number + len(found)}.{1_780_000_000 + number}"
    regular = Visitor(number + len(found), client, *web_ids(client), None, "Germany", "desktop", "Chrome", daily, {})
    return [*found, regular]


def web_ids(client_id: str) -> tuple[str, str]:
    """Optimizely's and VWO's cookie of the browser with this GA4 client id."""
    left, right = client_id.split(".")
    return f"oeu{right}000r0.{left}", f"D{uuid.uuid5(uuid.NAMESPACE_URL, client_id).hex.upper()}"


def _drawn(luck: float, trial: Trial) -> str:
    for variant, share in zip(trial.variants, trial.shares, strict=True):
        luck -= share
        if luck < 0:
            return variant
    return trial.variants[-1]
