"""Invented names, ids and dates of the sandbox's company. Nothing here is a real person's or a real company's data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

DAY = 86_400
HOUR = 3_600


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST = _words(
    "Ada Adil Aino Alma Amara Anouk Aris Asta Bela Bram Carla Cem Dalia Dario Edda Eino Elif Emre Enzo Esme Farah Finn Freya Gita "
    "Hana Henk Ida Ilse Imre Ines Iris Ivo Jana Jonas Jude Kai Kaja Lale Lars Leda Liv Luca Maia Marek Mina Miro Nadia Nils Noor "
    "Odin Olga Oona Otto Petra Pia Quinn Rafa Remi Rosa Runa Sami Sanna Selma Signe Silas Suri Tara Teo Thea Tilda Timo Una Uma "
    "Vera Viggo Wanda Willem Yara Zeno"
)
LAST = _words(
    "Abbot Alder Arkwell Ashdown Barlow Beck Bergen Birch Blom Bracken Calder Castell Corwin Dahl Denholm Dorn Eklund Elster "
    "Farrow Fenn Ferran Galt Garnet Hale Harrow Hollis Ivers Jansen Juniper Kestrel Kolb Lark Larsen Linden Lorne Marlow Mercer "
    "Merrow Nansen Norden Oakes Orrin Palmer Penrose Quill Rask Raven Ridley Rowan Sable Selden Sorrel Stroud Tamm Tarn Thorne "
    "Ullman Vale Varga Vesper Wilder Winter Wren Yarrow Zeller"
)
PLACE = _words(
    "Northwind Bluefield Stonebridge Silverlake Eastgate Harbour Highmoor Redwater Clearbrook Ironwood Fairhaven Greyfell "
    "Longreach Westmark Summerhill Oldfield Whitecliff Deepwell Brightwater Cloudrest Elmhurst Foxglove Goldcrest Heathfield "
    "Kingfisher Larkspur Millrace Nightjar Otterburn Pinecrest Quarry Rosehill Saltmarsh Tidewater Underhill Vineyard Windrush "
    "Yewtree Amberline Copperfield"
)
TRADE = _words(
    "Optics Foundry Bottling Robotics Ceramics Textiles Mills Packaging Turbines Dairies Chemicals Paper Logistics Motors Plastics "
    "Glassworks Breweries Shipyards Timber Pumps Castings Batteries Pharma Cables Elevators"
)
INDUSTRY = ("Manufacturing", "Food Production", "Chemicals", "Logistics", "Machinery", "Pharmaceuticals")
CITY = (
    ("Utrecht", "Netherlands"),
    ("Aarhus", "Denmark"),
    ("Lyon", "France"),
    ("Porto", "Portugal"),
    ("Leipzig", "Germany"),
    ("Turku", "Finland"),
)
TITLE = ("Plant Manager", "Maintenance Lead", "Head of Operations", "Process Engineer", "Buyer", "Quality Manager", "Managing Director")
PRODUCT = ("vibration sensors", "flow meters", "thermal probes", "pressure gauges", "level sensors", "torque cells", "gas detectors")
PURPOSE = ("pilot", "line retrofit", "plant rollout", "framework order", "spare parts contract", "monitoring upgrade")
SOURCE = (  # HubSpot's original source, Salesforce's LeadSource
    ("ORGANIC_SEARCH", "Organic Search"),
    ("PAID_SEARCH", "Paid Search"),
    ("EMAIL_MARKETING", "Email"),
    ("DIRECT_TRAFFIC", "Direct"),
    ("REFERRALS", "Referral"),
    ("SOCIAL_MEDIA", "Social"),
    ("OFFLINE", "Trade Show"),
)
HOME = "lumen-loom.example"


@dataclass(frozen=True)
class Owner:
    """A sales rep: one HubSpot owner and one Salesforce user, known to each other only by e-mail."""

    first: str
    last: str
    email: str
    sf_email: str
    hubspot: str
    hubspot_user: int
    salesforce: str
    active: bool = True


@lru_cache(maxsize=1)
def owners() -> tuple[Owner, ...]:
    """Six reps; the third writes his Salesforce e-mail in capitals, the last has left the company."""
    made = []
    names = (("Noor", "Calder"), ("Teo", "Harrow"), ("Ines", "Vesper"), ("Lars", "Quill"), ("Uma", "Tarn"), ("Otto", "Selden"))
    for i, (first, last) in enumerate(names):
        email = f"{first}.{last}@{HOME}".lower()
        shown = email.upper() if i == 2 else email
        made.append(Owner(first, last, email, shown, str(71_000_001 + i), 41_001 + i, sf_id("005", 1 + i), i < 5))
    return tuple(made)


_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECK = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def sf_checksum(id15: str) -> str:
    """The three letters that make a case-safe 18-character Salesforce id of a 15-character one.

    Source: Salesforce object reference, "ID field type" (read 2026-11): one letter per five characters, whose bits, lowest
    first, say which of the five are upper case.
    """
    out = ""
    for chunk in (id15[0:5], id15[5:10], id15[10:15]):
        out += _CHECK[sum(1 << i for i, c in enumerate(chunk) if "A" <= c <= "Z")]
    return out


def sf_id(prefix: str, number: int) -> str:
    """The 18-character id of the `number`-th row of the object with this three-character key prefix."""
    digits = ""
    n = number
    while n:
        n, rest = divmod(n, 62)
        digits = _ALPHABET[rest] + digits
    id15 = f"{prefix}Lm0{digits:0>9}"
    return id15 + sf_checksum(id15)


def member_id(email: str) -> str:
    """Mailchimp's id of a member: the md5 of the lower-case address."""
    return hashlib.md5(email.lower().encode(), usedforsecurity=False).hexdigest()


def epoch(iso: str) -> int:
    """Seconds since 1970 of an ISO instant."""
    return int(datetime.fromisoformat(iso).timestamp())


@lru_cache(maxsize=8192)
def day(number: int) -> str:
    """ISO date of the n-th day since 1970-01-01."""
    return (date(1970, 1, 1) + timedelta(days=number)).isoformat()


def iso_date(at: int) -> str:
    return day(at // DAY)


def iso(at: int) -> str:
    """An instant as "2026-05-01T12:00:00Z"; strftime would be most of the work of building a large world."""
    days, rest = divmod(at, DAY)
    hours, rest = divmod(rest, HOUR)
    return f"{day(days)}T{hours:02d}:{rest // 60:02d}:{rest % 60:02d}Z"


def money(cents: int | None) -> str | None:
    return None if cents is None else f"{cents // 100}.{cents % 100:02d}"


def company_name(number: int) -> tuple[str, str]:
    """Name and domain of the n-th company; the number keeps both unique once the words are used up."""
    pairs = len(PLACE) * len(TRADE)
    spot = (number * 617 + 131) % pairs  # 617 is prime to the number of pairs: every pair comes once before any comes again
    name = f"{PLACE[spot % len(PLACE)]} {TRADE[spot // len(PLACE)]}"
    if number >= pairs:
        name += f" {number // pairs + 1}"
    return name, name.lower().replace(" ", "-") + ".example"


def at_noon(now: int, days: float) -> int:
    """Noon UTC of the day so many days from now (so that no time zone moves the date)."""
    return int((now + days * DAY) // DAY * DAY + 12 * HOUR)


def utc_today(now: int) -> date:
    return datetime.fromtimestamp(now, UTC).date()
