# ruff: noqa: E501  (the literals are tables)
"""The rules of identity and structure, each at both sides of its threshold."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from rule_cases import Case, Finding, company, deal, findings, hit, lead, look, miss, of, person, tie
from unified_rows import NOW, row, tables

from core.resolve import resolve

RULES = ["I-02", "I-03", "I-05", "I-06", "I-07", "I-08", "I-09", "I-11", "I-12"]
FUNNEL = {"free_mail": ["gmail.com"]}
RECENTLY = NOW - timedelta(minutes=3)
WON = {"stage": "M80", "closed": True, "won": True}


def sf(id: str, account: str = "salesforce", **values: Any) -> dict[str, Any]:
    return person(id, account, **values)


def near(rule: str, says: str, kind: str, account: str, *sound: dict[str, Any], **values: Any) -> Case:
    """A record of the kind that is just not what the rule looks for, in an account where sound ones are."""
    id_ = f"{rule}/{says}"
    return miss(
        rule, says, **{kind: [row(kind, account, id_, **values), *(s for s in sound if kind != "deal" or s["resource"] == "deals")]}
    )


def placed(n: str) -> dict[str, Any]:
    """A contact that has its company: the account knows of associations."""
    return person(f"placed{n}", f"hubspot-{n}", email=f"placed@{n}.example", company_id=f"co{n}")


def orphan(says: str, n: str, **values: Any) -> Case:
    """Beside a sound contact and the company of both: an orphan but for one thing."""
    found = person(f"{n}p", f"hubspot-{n}", **{"email": f"ada@{n}.example", **values})
    companies = [company(f"co{n}", f"hubspot-{n}", domain=f"{n}.example"), company(f"free{n}", f"hubspot-{n}", domain="gmail.com")]
    return miss("I-03", says, person=[placed(n), found], company=companies)


ORPHANS = [
    hit("I-03", "the only company of the domain can be taken", "o1p", expect={"fix.field": "company_id", "fix.value": "coo1", "fix.policy": "fill_blank"},
        person=[placed("o1"), person("o1p", "hubspot-o1", email="ada@eu.o1.example")], company=[company("coo1", "hubspot-o1", domain="o1.example")]),
    hit("I-03", "of several a person chooses", "o2p", expect={"fix": None, "note": "2 with the domain o2.example"},
        person=[placed("o2"), person("o2p", "hubspot-o2", email="ada@o2.example")],
        company=[company("coo2", "hubspot-o2", domain="o2.example"), company("coo2b", "hubspot-o2", domain="o2.example")]),
    hit("I-03", "an association places the other one", "o3q",
        person=[person("o3p", "hubspot-o3", email="ada@o3.example"), person("o3q", "hubspot-o3", email="bo@o3.example")],
        company=[company("coo3", "hubspot-o3", domain="o3.example")], association=[tie("hubspot-o3", "companies", "coo3", "contacts", "o3p")]),
    orphan("free mail", "o4", email="ada@gmail.com"),
    orphan("another domain", "o5", email="ada@elsewhere.example"),
    orphan("has a company", "o6", company_id="elsewhere"),
    orphan("made just now", "o7", created_at=RECENTLY),
    orphan("a lead", "o8", converted=False),
    orphan("a member of a list", "o9", list_id="letter"),
    miss("I-03", "a system without any association is no evidence", person=[person("o10p", "hubspot-o10", email="ada@o10.example")],
         company=[company("coo10", "hubspot-o10", domain="o10.example")]),
]  # fmt: skip

HOMELESS = [
    hit("I-05", "the company of the only contact can be taken", "h1d", expect={"fix.field": "company_id", "fix.value": "h1co"},
        deal=[deal("h1d", "hubspot-h1"), deal("h1s", "hubspot-h1", company_id="h1co")], company=[company("h1co", "hubspot-h1")],
        person=[person("h1p", "hubspot-h1", company_id="h1co")], association=[tie("hubspot-h1", "deals", "h1d", "contacts", "h1p")]),
    hit("I-05", "of two contacts a person decides, won or not", "h2d", expect={"fix": None},
        deal=[deal("h2d", "hubspot-h2", **WON), deal("h2s", "hubspot-h2", company_id="h2co")], company=[company("h2co", "hubspot-h2")],
        person=[person("h2p", "hubspot-h2", company_id="h2co"), person("h2q", "hubspot-h2")],
        association=[tie("hubspot-h2", "deals", "h2d", "contacts", "h2p"), tie("hubspot-h2", "deals", "h2d", "contacts", "h2q")]),
    miss("I-05", "the mirror has a company",
         deal=[deal("h3d", "hubspot-h3"), deal("h3f", "salesforce-h3", links=["hubspot:deals:h3d"], company_id="h3acc"), deal("h3s", "hubspot-h3", company_id="h3co")],
         company=[company("h3co", "hubspot-h3"), company("h3acc", "salesforce-h3")]),
    miss("I-05", "made just now", deal=[deal("h4d", "hubspot-h4", created_at=RECENTLY), deal("h4s", "hubspot-h4", company_id="h4co")], company=[company("h4co", "hubspot-h4")]),
    miss("I-05", "a system that names no company for any deal is no evidence", deal=[deal("h5d", "hubspot-h5")], company=[company("h5co", "hubspot-h5")]),
]  # fmt: skip

GONE = [
    hit("I-07", "a chain of merges leads to the survivor", "g1", expect={"note": "merged into g1c"},
        person=[person("g1", links=["salesforce:Contact:g1a"]), sf("g1a", deleted=True, merged_into="g1b"), sf("g1b", deleted=True, merged_into="g1c"), sf("g1c")]),
    hit("I-07", "a loser that was never pulled", "g2", expect={"note": "merged into g2b"}, person=[sf("g2", links=["hubspot:contacts:g2a"]), person("g2b", merged_ids=["g2a"])]),
    hit("I-07", "a deleted record", "g3", expect={"note": "deleted", "fix": None}, person=[sf("g3", links=["hubspot:contacts:g3a"]), person("g3a", deleted=True)]),
    miss("I-07", "live, unknown, or itself deleted",
         person=[person("g4", links=["salesforce:Contact:g4a", "salesforce:Contact:unknown"]), sf("g4a"),
                 person("g4b", links=["salesforce:Contact:g4c"], deleted=True), sf("g4c", deleted=True)]),
    hit("I-07", "a deal whose mirror was deleted", "g5",
        deal=[deal("g5", links=["salesforce:Opportunity:g5a"], attributes='{"sync":"true"}'), deal("g5a", "salesforce", deleted=True)]),
    miss("I-06", "a deal whose mirror was deleted is I-07's",
         deal=[deal("g6", links=["salesforce:Opportunity:g6a"], attributes='{"sync":"true"}'), deal("g6a", "salesforce", deleted=True)]),
]  # fmt: skip

DOUBLED = [
    hit("I-08", "an open lead and a contact of one address", "l1c l1l", person=[lead("l1l", email="Ada@l1.example"), sf("l1c", email="ada@l1.example ")]),
    miss("I-08", "converted", person=[lead("l2l", email="a@l2.example", converted=True), sf("l2c", email="a@l2.example")]),
    miss("I-08", "another address", person=[lead("l3l", email="a@l3.example"), sf("l3c", email="b@l3.example")]),
    miss("I-08", "the contact is deleted", person=[lead("l4l", email="a@l4.example"), sf("l4c", email="a@l4.example", deleted=True)]),
    miss("I-08", "the contact is another system's", person=[lead("l5l", email="a@l5.example"), person("l5c", email="a@l5.example")]),
    miss("I-08", "no address", person=[lead("l6l"), sf("l6c")]),
]  # fmt: skip

CROSSED = [
    hit("I-09", "a copied contact kept the id of its original", "x1 x1b", expect={"severity": "S1", "fix": None},
        person=[person("x1", links=["salesforce:Contact:x1a"]), sf("x1a", links=["hubspot:contacts:x1"]), sf("x1b", links=["hubspot:contacts:x1"])]),
    hit("I-09", "crossed ids of two deals", "x2a x2c", "x2a x2d",
        deal=[deal("x2a", links=["salesforce:Opportunity:x2d"]), deal("x2c", "salesforce", links=["hubspot:deals:x2a"]),
              deal("x2b", links=["salesforce:Opportunity:x2d"]), deal("x2d", "salesforce", links=["hubspot:deals:x2b"])]),
    miss("I-09", "15 characters are the same id", person=[person("x3", links=["salesforce:Contact:003000000000001"]), sf("003000000000001AAA", links=["hubspot:contacts:x3"])]),
    miss("I-09", "lead and contact name one person",
         person=[person("x4", links=["salesforce:Contact:x4a", "salesforce:Lead:x4b"]), sf("x4a", links=["hubspot:contacts:x4"]), lead("x4b", links=["hubspot:contacts:x4"])]),
    miss("I-09", "the other one is deleted", person=[person("x5", links=["salesforce:Contact:x5a"]), sf("x5a", deleted=True), sf("x5b", links=["hubspot:contacts:x5"])]),
    miss("I-09", "only one side keeps an id", person=[person("x6"), sf("x6a", links=["hubspot:contacts:x6"])]),
    miss("I-09", "the other one is in another org",
         person=[person("x7", links=["salesforce:Contact:x7a"]), sf("x7a", links=["hubspot:contacts:x7"]), sf("x7b", "salesforce-eu", links=["hubspot:contacts:x7"])]),
]  # fmt: skip

SPLIT = [
    hit("I-11", "one domain, no parent; a daughter is no top", "s1a s1b", expect={"note": "s1.example"},
        company=[company("s1a", domain="s1.example", name="One"), company("s1b", domain="www.eu.s1.example", name="One Labs"), company("s1c", domain="s1.example", parent_id="s1a")]),
    miss("I-11", "parent and daughter", company=[company("s2a", domain="s2.example"), company("s2b", domain="s2.example", parent_id="s2a")]),
    miss("I-11", "two daughters of one holding", company=[company("s3a", domain="s3.example", parent_id="s3h"), company("s3b", domain="s3.example", parent_id="s3h")]),
    miss("I-11", "the parent is named by 15 characters",
         company=[company("001000000000001AAA", "salesforce", domain="s4.example"), company("s4b", "salesforce", domain="s4.example", parent_id="001000000000001")]),
    miss("I-11", "one in each system", company=[company("s5a", domain="s5.example"), company("s5b", "salesforce", domain="s5.example")]),
    miss("I-11", "free mail", company=[company("s6a", domain="gmail.com"), company("s6b", domain="gmail.com")]),
    miss("I-11", "a public suffix in common", company=[company("s7a", domain="acme.co.uk"), company("s7b", domain="other.co.uk")]),
    miss("I-11", "a system that knows no parents", company=[company("s8a", "activecampaign", domain="s8.example"), company("s8b", "activecampaign", domain="s8.example")]),
    miss("I-11", "one is deleted", company=[company("s9a", domain="s9.example"), company("s9b", domain="s9.example", deleted=True)]),
]  # fmt: skip

USERS = [
    row("owner", "hubspot", "1", email="ada@us.example", active=True), row("owner", "hubspot", "2", email="gone@us.example", active=False),
    row("owner", "salesforce", "005000000000001AAA", email="ada@us.example"),
]  # fmt: skip
OWNED = [
    hit("I-12", "who has left", "w1", expect={"note": "the user is inactive", "values.hubspot": "gone@us.example"}, deal=[deal("w1", owner_id="2")]),
    hit("I-12", "whom nobody knows", "w2", expect={"note": "no such user", "values.hubspot": "9"}, deal=[deal("w2", owner_id="9")]),
    hit("I-12", "an open lead's", "w3", person=[lead("w3", owner_id="005X")]),
    miss("I-12", "who is there, by 15 characters too; nobody", deal=[deal("w4", owner_id="1"), deal("w5", "salesforce", owner_id="005000000000001"), deal("w6")]),
    miss("I-12", "closed deals, disqualified and converted leads, contacts", deal=[deal("w7", owner_id="2", **WON)],
         person=[lead("w8", owner_id="005X", stage="MX"), lead("w9", owner_id="005X", converted=True), person("w10", owner_id="9")]),
    miss("I-12", "a queue", person=[lead("w11", owner_id="00G000000000001AAA")]),
    miss("I-12", "a system whose users nobody pulled", deal=[deal("w12", "activecampaign", owner_id="7")]),
]  # fmt: skip


def pair(n: int, names: str, one: dict[str, Any], other: dict[str, Any]) -> list[dict[str, Any]]:
    """Two contacts of one name and telephone, but for what is said."""
    first, last = names.split()
    base = {"first_name": first, "last_name": last, "phone": f"+31 20 50012{n:02}"}
    return [person(f"p{n}a", **{**base, **one}), person(f"p{n}b", **{**base, **other})]


TWICE = [
    hit("I-02", "a slip in the address", "p1a p1b", expect={"note": "p = 0.998: same name, same company, addresses that differ by a slip"},
        person=pair(1, "Ada Bergen", {"email": "ada.bergen@p1.example"}, {"email": "ada.bergn@p1.example", "phone": None})),
    hit("I-02", "a private address; a prefix written out", "p2a p2b", expect={"note": "p = 0.98: same name, same telephone"},
        person=pair(2, "Bo Castell", {"email": "bo@p2.example"}, {"email": "bo@gmail.com", "phone": "0031(0)20-500 12 02"})),
    hit("I-02", "a new employer", "p3a p3b", expect={"note": "p = 0.906: same name, another company, same telephone"},
        person=pair(3, "Cem Dahl", {"email": "cem.dahl@p3.example"}, {"email": "cd@p3new.example"})),
    hit("I-02", "an initial", "p4a p4b", expect={"note": "p = 0.931: name nearly the same, same company, same telephone"},
        person=pair(4, "Dalia Elster", {"email": "dalia.elster@p4.example"}, {"email": "d.elster@p4.example", "first_name": "D."})),
    hit("I-02", "first and last name changed round", "p5a p5b",
        person=pair(5, "Edda Farrow", {"email": "edda@p5.example"}, {"email": "farrow@p5.example", "first_name": "Farrow", "last_name": "Edda"})),
    miss("I-02", "a namesake in the firm", person=pair(6, "Finn Galt", {"email": "finn.galt@p6.example"}, {"email": "finn.galt2@p6.example", "phone": None})),
    miss("I-02", "a namesake elsewhere", person=pair(7, "Gita Hale", {"email": "gita.hale@p7.example"}, {"email": "gita.hale@p7b.example", "phone": "+31 20 5009907"})),
    miss("I-02", "wife and husband in one firm", person=pair(8, "Hana Ivers", {"email": "hana.ivers@p8.example"}, {"email": "otto.ivers@p8.example", "first_name": "Otto"})),
    miss("I-02", "two names at one private line", person=pair(9, "Ida Jansen", {"email": "ida@p9.example"}, {"email": "kai@gmail.com", "first_name": "Kai", "last_name": "Kolb"})),
    miss("I-02", "an initial and another telephone", person=pair(10, "Jana Lark", {"email": "jana.lark@p10.example"}, {"email": "j.lark@p10.example", "first_name": "J.", "phone": "+31 20 5009910"})),
    miss("I-02", "no last name", person=pair(11, "Kai Linden", {"email": "kai@p11.example"}, {"email": "kai@gmail.com", "last_name": None})),
    miss("I-02", "deleted", person=pair(12, "Lale Lorne", {"email": "lale@p12.example"}, {"email": "lale2@gmail.com", "deleted": True})),
    miss("I-02", "one by their address already", person=pair(13, "Maia Mercer", {"email": "maia@p13.example"}, {"email": "maia@p13.example"})),
    miss("I-02", "a switchboard", person=[person(f"p14{n}", first_name="Nils", last_name="Orme", phone="+31 20 1000", email=f"x{n}@p14{n}.example") for n in range(6)]),
    hit("I-02", "a line of five is none", *(f"p15{a} p15{b}" for a in range(5) for b in range(a + 1, 5)),
        person=[person(f"p15{n}", first_name="Olga", last_name="Perch", phone="+31 20 2000 000", email=f"x{n}@gmail.com") for n in range(5)]),
    miss("I-02", "a name that everybody has", person=[
        *pair(16, "Jan Visser", {"email": "jan@p16.example"}, {"email": "jan@p16b.example"}),
        *(person(f"p16{n}", first_name="Jan", last_name="Visser", email=f"jan@p16{n}.example") for n in range(600))]),
]  # fmt: skip

CASES = [*ORPHANS, *HOMELESS, *GONE, *DOUBLED, *CROSSED, *SPLIT, *OWNED, *TWICE]


@pytest.fixture(scope="module")
def found() -> list[Finding]:
    return findings(CASES, RULES, FUNNEL, owner=USERS)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_rule_finds_what_it_should_and_nothing_else(case: Case, found: list[Finding]):
    mine = of(case, found)
    assert set(mine) == set(case.found)
    for finding in list(mine.values())[:1]:
        assert {name: look(finding, name) for name in case.expect} == case.expect
        assert finding["fix"] or finding["question"]


def test_a_copied_contact_is_another_person_than_its_original():
    rows = [person("h", links=["salesforce:Contact:a"]), sf("a", links=["hubspot:contacts:h"]), sf("b", links=["hubspot:contacts:h"])]
    entity = {m["vendor_id"]: m["entity_id"] for m in resolve(tables(person=rows), {}).members.to_pylist()}
    assert entity["h"] == entity["a"] != entity["b"]


def test_a_deleted_partner_takes_no_link_away_from_the_one_that_replaced_it():
    rows = [
        person("h", links=["salesforce:Contact:a"]),
        sf("a", links=["hubspot:contacts:h"], deleted=True),
        sf("b", links=["hubspot:contacts:h"]),
    ]
    entity = {m["vendor_id"]: m["entity_id"] for m in resolve(tables(person=rows), {}).members.to_pylist()}
    assert entity["h"] == entity["a"] == entity["b"]
