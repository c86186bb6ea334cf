"""Who is who, from literals."""

from __future__ import annotations

import pyarrow as pa
import pytest
from unified_rows import arrow, row, tables

from core.lake_schema import record_schema
from core.resolve import Resolution, resolve


def groups(found: Resolution) -> set[frozenset[str]]:
    """Entities as sets of "account:id", those of one record left out."""
    by_entity: dict[str, set[str]] = {}
    for member in found.members.to_pylist():
        by_entity.setdefault(member["entity_id"], set()).add(f"{member['account']}:{member['vendor_id']}")
    return {frozenset(group) for group in by_entity.values() if len(group) > 1}


def entity(found: Resolution, account: str, vendor_id: str) -> str:
    ids = [m["entity_id"] for m in found.members.to_pylist() if (m["account"], m["vendor_id"]) == (account, vendor_id)]
    assert len(set(ids)) == 1
    return str(ids[0])


def people(*rows: dict) -> Resolution:
    return resolve(tables(person=list(rows)), {})


def test_records_with_the_same_address_are_one_person_in_any_spelling():
    found = people(
        row("person", "hubspot", "1", email="Ada@Example.com "),
        row("person", "mailchimp", "m1", email="ada@example.com"),
        row("person", "salesforce", "003", email="other@example.com"),
    )
    assert groups(found) == {frozenset({"hubspot:1", "mailchimp:m1"})}
    assert found.links.select(["left_key", "right_key", "evidence", "detail"]).to_pylist() == [
        {"left_key": "hubspot:contacts:1", "right_key": "mailchimp:members:m1", "evidence": "email", "detail": "ada@example.com"}
    ]


def test_dots_and_plus_tags_of_gmail_do_not_count_but_those_of_others_do():
    found = people(
        row("person", "hubspot", "1", email="a.d.a+news@googlemail.com"),
        row("person", "mailchimp", "m1", email="ada@gmail.com"),
        row("person", "hubspot", "2", email="b.o@example.com"),
        row("person", "mailchimp", "m2", email="bo@example.com"),
    )
    assert groups(found) == {frozenset({"hubspot:1", "mailchimp:m1"})}


def test_a_second_address_links_too():
    found = people(
        row("person", "hubspot", "1", email="ada@example.com", other_emails=["old@example.com"]),
        row("person", "mailchimp", "m1", email="old@example.com"),
    )
    assert groups(found) == {frozenset({"hubspot:1", "mailchimp:m1"})}


def test_role_addresses_and_shared_mailboxes_glue_nobody():
    shared = [row("person", "hubspot", str(n), email="family@example.com") for n in range(6)]
    found = people(
        *shared,
        row("person", "mailchimp", "m1", email="info@example.com"),
        row("person", "salesforce", "003", email="info@example.com"),
    )
    assert groups(found) == set()


def test_a_link_field_joins_across_vendors_whatever_the_length_of_the_salesforce_id():
    found = people(
        row("person", "hubspot", "1", links=["salesforce:Contact:003000000000001"]),
        row("person", "salesforce", "003000000000001AAA"),
        row("person", "salesforce", "003000000000001aAA"[:14] + "2AAA"),
    )
    assert groups(found) == {frozenset({"hubspot:1", "salesforce:003000000000001AAA"})}


def test_only_ids_of_salesforces_own_lengths_are_shortened_for_comparing():
    found = people(
        row("person", "hubspot", "1", links=["salesforce:Contact:legacy-000000001-A-"]),
        row("person", "salesforce", "legacy-000000001-A-B"),
        row("person", "salesforce", "legacy-000000001-C-D"),
    )
    assert groups(found) == set()


def test_a_link_two_accounts_could_hold_links_to_neither():
    found = people(
        row("person", "mailchimp", "m1", links=["hubspot:contacts:1"]),
        row("person", "hubspot-eu", "1"),
        row("person", "hubspot-us", "1"),
    )
    assert groups(found) == set()


def test_a_link_to_the_own_vendor_stays_in_the_account():
    lead = row("person", "hubspot-eu", "900", resource="leads", links=["hubspot:contacts:1"])
    found = people(lead, row("person", "hubspot-eu", "1"), row("person", "hubspot-us", "1"))
    assert groups(found) == {frozenset({"hubspot-eu:900", "hubspot-eu:1"})}


def test_merges_are_followed_from_either_side_and_the_loser_is_not_live():
    found = people(
        row("person", "salesforce", "003A", merged_into="003B", deleted=True),
        row("person", "salesforce", "003B"),
        row("person", "hubspot", "2", merged_ids=["1"]),
        row("person", "mailchimp", "m1", links=["hubspot:contacts:1"]),
    )
    assert groups(found) == {frozenset({"salesforce:003A", "salesforce:003B"}), frozenset({"hubspot:2", "mailchimp:m1"})}
    live = {m["vendor_id"]: m["live"] for m in found.members.to_pylist()}
    assert live == {"003A": False, "003B": True, "2": True, "m1": True}


def test_a_converted_lead_is_the_contact_it_became():
    lead = row("person", "salesforce", "00Q1", resource="Lead", converted=True, converted_person_id="0031")
    assert groups(people(lead, row("person", "salesforce", "0031"))) == {frozenset({"salesforce:00Q1", "salesforce:0031"})}


def test_a_hubspot_lead_is_its_contact_by_association_but_two_contacts_stay_two():
    rows = tables(
        person=[row("person", "hubspot", "1"), row("person", "hubspot", "2"), row("person", "hubspot", "900", resource="leads")],
        association=[
            row("association", "hubspot", "a", from_kind="leads", from_id="900", to_kind="contacts", to_id="1"),
            row("association", "hubspot", "b", from_kind="person", from_id="1", to_kind="person", to_id="2"),
        ],
    )
    assert groups(resolve(rows, {})) == {frozenset({"hubspot:1", "hubspot:900"})}


def test_companies_meet_by_domain_unless_a_system_has_several_with_it():
    found = resolve(
        tables(
            company=[
                row("company", "hubspot", "1", domain="https://www.Acme.example/about"),
                row("company", "salesforce", "0011", domain="acme.example"),
                row("company", "hubspot", "2", domain="group.example"),
                row("company", "salesforce", "0012", domain="group.example"),
                row("company", "salesforce", "0013", domain="group.example"),
                row("company", "hubspot", "3", domain="gmail.com"),
                row("company", "salesforce", "0014", domain="gmail.com"),
            ]
        ),
        {},
    )
    assert groups(found) == {frozenset({"hubspot:1", "salesforce:0011"})}


def test_deals_meet_by_link_only():
    found = resolve(
        tables(
            deal=[
                row("deal", "hubspot", "1", name="Big"),
                row("deal", "salesforce", "0061", name="Big", links=["hubspot:deals:1"]),
                row("deal", "salesforce", "0062", name="Big"),
            ]
        ),
        {},
    )
    assert groups(found) == {frozenset({"hubspot:1", "salesforce:0061"})}
    assert all(m["entity_id"].startswith("dea_") for m in found.members.to_pylist())


def test_entities_keep_their_ids_when_records_join_and_when_they_part():
    old = row("person", "hubspot", "1", email="ada@example.com", created_at="2025-01-01")
    young = row("person", "mailchimp", "m1", email="ada@work.example", created_at="2025-06-01")
    apart = people(old, young)
    ada, other = entity(apart, "hubspot", "1"), entity(apart, "mailchimp", "m1")
    assert ada != other
    joined = resolve(tables(person=[{**old, "other_emails": ["ada@work.example"]}, young]), {}, apart.members)
    assert entity(joined, "hubspot", "1") == entity(joined, "mailchimp", "m1") == ada
    parted = resolve(tables(person=[old, young]), {}, joined.members)
    assert entity(parted, "hubspot", "1") == ada
    assert entity(parted, "mailchimp", "m1") == other


def test_a_part_that_leaves_never_takes_an_id_in_use():
    a = row("person", "hubspot", "1", email="a@example.com", created_at="2025-06-01")
    b = row("person", "mailchimp", "m1", email="a@example.com", created_at="2025-01-01")
    joined = people(a, b)  # named after hubspot:contacts:1, the smallest key; the oldest member is m1
    parted = resolve(tables(person=[{**a, "email": "new@example.com"}, b]), {}, joined.members)
    assert entity(parted, "mailchimp", "m1") == entity(joined, "hubspot", "1")
    assert entity(parted, "hubspot", "1") != entity(parted, "mailchimp", "m1")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_order_of_rows_does_not_matter(order):
    rows = [
        row("person", "hubspot", "1", email="a@example.com"),
        row("person", "mailchimp", "m1", email="a@example.com"),
        row("person", "salesforce", "0031", email="b@example.com"),
    ]
    assert people(*(rows[i] for i in order)).members.equals(people(*rows).members)


def test_nothing_gives_nothing():
    assert resolve({}, {}).members.num_rows == 0
    assert people().members.num_rows == 0
    assert arrow("person", []).schema == record_schema("person")
    assert isinstance(people().links, pa.Table)
