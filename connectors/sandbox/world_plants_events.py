"""Planted discrepancies and near misses of conversion events and of leads as they are counted and campaigns (E-02 to E-08)."""

from __future__ import annotations

from connectors.sandbox.world_deals import closing
from connectors.sandbox.world_model import Deal, Draft, Person, Shown, Signal
from connectors.sandbox.world_names import DAY, HOUR, money
from connectors.sandbox.world_plants_deals import one
from connectors.sandbox.world_plants_people import someone


def _won(draft: Draft, n: int) -> Deal:
    return one(draft, closing(won=True, days_ago=30 + n % 90))


def _sold(draft: Draft, deal: Deal, hours: float, cents: int) -> None:
    """A further event of the won deal, so long after it was won."""
    values = {"deal_id": deal.hs_id, "value": money(cents) or "0", "currency": "EUR"}
    draft.signals.append(Signal(deal.people[0], "close_convert_lead", deal.path_hs[-1][1] + int(hours * HOUR), values))


def e03(draft: Draft, n: int) -> None:
    deal = _won(draft, n)
    _sold(draft, deal, 5, deal.cents or 0)
    draft.plant("E-03", "the site and a server both sent the sale", deal)


def e03_decoy(draft: Draft, n: int) -> None:
    first, second = _won(draft, n), _won(draft, n + 1)
    draft.decoy("E-03", "two sales, an event of each", first, second)


def e04(draft: Draft, n: int) -> None:
    deal = _won(draft, n)
    deal.event = False
    _sold(draft, deal, 1, (deal.cents or 0) * 4 // 5)
    draft.plant("E-04", "the event has four fifths of the amount", deal)


def e04_decoy(draft: Draft, n: int) -> None:
    deal = _won(draft, n)
    deal.event = False
    _sold(draft, deal, 1, (deal.cents or 0) * 995 // 1000)
    draft.decoy("E-04", "rounded by half a per cent", deal)


def _stray(draft: Draft, number: int, at: int) -> Shown:
    """The form's event, as the export has it."""
    client = f"{2_100_000_000 + number}.{1_780_000_000 + number}"
    draft.strays.append((client, at))
    return Shown("files", "ga4_events", f"{client}:{(at + 95) * 1_000_000}:generate_lead")


def e02(draft: Draft, n: int) -> None:
    draft.plant("E-02", "a form nobody got", _stray(draft, 2 * n, draft.now - (60 + n % 25) * DAY + 10 * HOUR))


def e02_decoy(draft: Draft, n: int) -> None:
    draft.decoy("E-02", "six hours ago: it may still come", _stray(draft, 2 * n + 1, draft.now - 6 * HOUR))
    draft.decoy("E-02", "a form whose lead is in the CRM", someone(draft, "lead", n + 1))


def e05(draft: Draft, n: int) -> None:
    person = someone(draft, "mql", n)
    person.source, person.lead_source = 1, "Trade Show"
    draft.plant("E-05", "paid search in HubSpot, a trade show in Salesforce", person)


def e05_decoy(draft: Draft, n: int) -> None:
    same, unknown = someone(draft, "mql", n), someone(draft, "lead", n)
    same.source, same.lead_source = 1, "Google Ads"
    unknown.source, unknown.lead_source = 2, "Purchased List"
    draft.decoy("E-05", "two words for one source; a word nobody grouped", same, unknown)


def _webinar(draft: Draft, n: int, *, answered: tuple[float, bool] | None, came: float | None) -> Person:
    """A lead who answered the webinar's campaign in Salesforce, or came by its link, so many days after it knew him."""
    draft.odd.add("E-06")
    person = someone(draft, "lead", n)
    person.client_id = f"{1_800_000_000 + person.number}.{1_790_000_000 + person.number}"
    known = person.sf_status[0][1]
    noon = known - known % DAY + 12 * HOUR
    person.answered = [(noon + int(answered[0] * DAY), answered[1])] if answered else []
    person.came = [] if came is None else [noon + int(came * DAY)]
    return person


def e06(draft: Draft, n: int) -> None:
    draft.plant("E-06", "answered in Salesforce four days before he came by the link", _webinar(draft, n, answered=(10, True), came=14))
    draft.plant("E-06", "answered in Salesforce, and never came", _webinar(draft, n, answered=(10, True), came=None))
    draft.plant("E-06", "came by the link, and is in no campaign", _webinar(draft, n, answered=None, came=10))
    draft.plant("E-06", "came by the link, and was only sent it", _webinar(draft, n, answered=(8, False), came=10))


def e06_decoy(draft: Draft, n: int) -> None:
    draft.decoy("E-06", "came on the eve of his answer", _webinar(draft, n, answered=(10, True), came=9))
    draft.decoy("E-06", "came before Salesforce knew him, and answered nothing", _webinar(draft, n, answered=None, came=-2))
    draft.decoy("E-06", "was sent it, and did nothing", _webinar(draft, n, answered=(10, False), came=None))
    unread = someone(draft, "subscriber", n)
    unread.client_id, unread.came = f"{1_850_000_000 + unread.number}.{1_790_000_000 + unread.number}", [unread.created + 10 * DAY]
    draft.decoy("E-06", "came by the link, and is not in Salesforce", unread)


def _crowd(draft: Draft, days_ago: int, many: int) -> list[Person]:
    """Leads of one week who all came by the form."""
    found = []
    for i in range(many):
        company = draft.company(draft.now - 450 * DAY)
        person = draft.person(company, draft.now - days_ago * DAY + (9 + i % 8) * HOUR + len(draft.people) * 41 % 60 * 60)
        person.lifecycle, person.lead_status = [("lead", person.created)], "NEW"
        person.client_id = f"{1_900_000_000 + person.number}.{1_790_000_000 + person.number}"
        person.sf, person.sf_status = "lead", [("Open - Not Contacted", person.created + 300)]
        person.rung = "M20"
        found.append(person)
    return found


def e07(draft: Draft, n: int) -> None:
    people = _crowd(draft, 33, 12)
    for person in people:
        person.untagged = True
    draft.plant("E-07", "for a day the form's tag was gone", *people, about="tag")


def e07_decoy(draft: Draft, n: int) -> None:
    draft.decoy("E-07", "as many, and counted", *_crowd(draft, 47, 12))


def _named(draft: Draft, person: Person, left: str) -> Person:
    person.email = f"{left}@{person.email.split('@')[1]}"
    draft.emails.add(person.email)
    return person


def e08(draft: Draft, n: int) -> None:
    person = someone(draft, "lead", n)
    draft.plant("E-08", "somebody tried the form with a test address, and it is a lead", _named(draft, person, "lena+test"))


def e08_decoy(draft: Draft, n: int) -> None:
    reader = someone(draft, "subscriber", n)
    draft.decoy("E-08", "a test address that only subscribed", _named(draft, reader, "test"))
    real = someone(draft, "lead", n)
    draft.decoy("E-08", "a real name that begins like a test", _named(draft, real, "testa.rossi"))


CASES = (e02, e02_decoy, e05, e05_decoy, e06, e06_decoy, e07, e07_decoy, e03, e03_decoy, e04, e04_decoy, e08, e08_decoy)
