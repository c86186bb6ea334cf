"""Whose touch is it: interactions of all systems, each with the person it belongs to."""

from __future__ import annotations

from collections.abc import Mapping

import ibis

from core.evidence import comparable_link, email_key
from core.tables import records, refs

_KEY = ["account", "resource", "vendor_id"]


def touches(tables: Mapping[str, ibis.Table], owners: ibis.Table) -> ibis.Table:
    """Live touches that belong to a person: entity_id, then the touch's own columns. owners: as `touch_owners` gives them."""
    t = records(tables, "touch")
    columns = t.columns
    t = t.filter(~t.deleted.fill_null(False))
    return t.inner_join(owners, _KEY).select("entity_id", *columns)


def touch_owners(tables: Mapping[str, ibis.Table], members: ibis.Table, people: ibis.Table) -> ibis.Table:
    """(account, resource, vendor_id, entity_id): the person of each live touch that belongs to one.

    Found by the account's own person id; else by a link that names one of the person's records or that one of them
    carries too (a visitor's id); else by e-mail address. A link or an address of several persons names none of them.
    people: live person records with entity_id (core.relations).
    """
    t = records(tables, "touch")
    t = t.filter(~t.deleted.fill_null(False))
    known = refs(tables, members, "person")
    known = known.filter(known.name == "person").select("account", person_id="vendor_id", by_id="entity_id")
    t = t.left_join(known, ["account", "person_id"]).drop("account_right", "person_id_right")
    t = t.left_join(_by_link(t.filter(t.by_id.isnull()), people), _KEY).drop(*(f"{name}_right" for name in _KEY))
    t = t.mutate(address=ibis.ifelse(ibis.coalesce(t.by_id, t.by_link).isnull(), email_key(t.email), ibis.null("string")))
    t = t.left_join(_addresses(people), "address").drop("address_right")
    t = t.mutate(entity_id=ibis.coalesce(t.by_id, t.by_link, t.by_address)).filter(lambda x: x.entity_id.notnull())
    return t.select(*_KEY, "entity_id")


def _by_link(t: ibis.Table, people: ibis.Table) -> ibis.Table:
    """(account, resource, vendor_id, by_link) of touches whose links lead to one person."""
    linked = t.filter(t.links.length() > 0).select("account", "resource", "vendor_id", link="links").unnest("link")
    carried = people.select("entity_id", link="links").unnest("link")
    named = people.select("entity_id", link=people.vendor.concat(":", people.resource, ":", people.vendor_id))
    index = ibis.union(carried, named)
    index = index.mutate(link=comparable_link(index.link))
    index = index.group_by("link").agg(entity_id=index.entity_id.min(), last=index.entity_id.max())
    index = index.filter(index.entity_id == index["last"]).select("link", "entity_id")
    found = linked.mutate(link=comparable_link(linked.link)).inner_join(index, "link")
    found = found.group_by("account", "resource", "vendor_id").agg(by_link=found.entity_id.min(), last=found.entity_id.max())
    return found.filter(found.by_link == found["last"]).drop("last")


def _addresses(people: ibis.Table) -> ibis.Table:
    """(address, by_address): addresses of one person only."""
    own = people.select("entity_id", address="email")
    other = people.select("entity_id", address="other_emails").unnest("address")
    every = ibis.union(own, other)
    every = every.mutate(address=email_key(every.address))
    every = every.filter(every.address.contains("@"))
    one = every.group_by("address").agg(by_address=every.entity_id.min(), last=every.entity_id.max())
    return one.filter(one.by_address == one["last"]).drop("last")
