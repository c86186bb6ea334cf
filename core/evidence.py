"""The edges between records of one kind: each says that two records are the same thing, and why.

All functions take `nodes` (i, key, account, vendor, resource, vendor_id, nid, live, …) and give (l, r, evidence, detail),
l and r being row numbers. Shared values make stars around the smallest row, so the number of edges is linear.
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis

_ROLE_ADDRESSES = (
    "abuse", "accounting", "accounts", "admin", "billing", "contact", "enquiries", "finance", "hello", "help", "hr", "info",
    "invoices", "jobs", "mail", "marketing", "newsletter", "no-reply", "noreply", "office", "orders", "postmaster", "press",
    "sales", "service", "support", "team", "webmaster",
)  # fmt: skip
_FREE_MAIL = (
    "aol.com", "gmail.com", "gmx.com", "gmx.de", "gmx.net", "googlemail.com", "hotmail.com", "icloud.com", "live.com", "mail.com",
    "mail.ru", "me.com", "msn.com", "outlook.com", "proton.me", "protonmail.com", "qq.com", "t-online.de", "web.de", "yahoo.com",
    "yandex.ru",
)  # fmt: skip
_REGISTRABLE = r"([^.]+\.(?:ac|co|com|edu|gob|gov|ltd|net|nom|org|plc)\.[a-z]{2}|[^.]+\.[^.]+)$"
_NO_EDGES = {"l": "int64", "r": "int64", "evidence": "string", "detail": "string"}


def edges(
    kind: str, nodes: ibis.Table, associations: ibis.Table, *, shared_mailbox: int, shared_web_id: int, free_mail: Sequence[str] = ()
) -> ibis.Table:
    """All evidence for one kind. An address with more than `shared_mailbox` records in one list or object glues nobody.

    The same holds for a visitor's id with more than `shared_web_id` records: many people use that device.
    """
    known = aliases(nodes)
    links = parsed_links(nodes)
    found = [_by_links(nodes, links, known), *_by_merges(nodes, known), _by_associations(kind, nodes, associations)]
    if kind == "person":
        found += [_by_conversion(nodes), _by_email(nodes, shared_mailbox), _by_web_id(nodes, links, known, shared_web_id)]
    if kind == "company":
        found.append(_by_domain(nodes, free_mail or _FREE_MAIL))
    return ibis.union(*found)


def _edge(joined: ibis.Table, left: str, right: str, evidence: str | ibis.Value, detail: ibis.Value) -> ibis.Table:
    evidence = ibis.literal(evidence) if isinstance(evidence, str) else evidence
    rows = joined.select(l=joined[left], r=joined[right], evidence=evidence, detail=detail)
    return rows.filter(rows.l != rows.r).cast(_NO_EDGES)


def aliases(nodes: ibis.Table) -> ibis.Table:
    """(account, vendor, resource, nid, to): every id a record is known by, its own before those it swallowed in a merge."""
    own = nodes.select("account", "vendor", "resource", "nid", to="i", rank=ibis.literal(0))
    lost = nodes.select("account", "vendor", "resource", "i", lost=nodes.merged_ids).unnest("lost").filter(lambda t: t.lost != "")
    lost = lost.select("account", "vendor", "resource", nid=comparable_id(lost.vendor, lost.lost), to="i", rank=ibis.literal(1))
    both = ibis.union(own, lost)
    return both.group_by("account", "vendor", "resource", "nid").agg(to=both.to.argmin(both.rank))


def comparable_id(vendor: ibis.Value, vendor_id: ibis.Value) -> ibis.Value:
    """Salesforce shows the same id with 15 and with 18 characters; the first 15 (case counts) are the id."""
    return ibis.ifelse((vendor == "salesforce") & (vendor_id.length() == 18), vendor_id.left(15), vendor_id)


def comparable_link(link: ibis.Value) -> ibis.Value:
    """A link "vendor:resource:id" with its id as compared between systems."""
    long = link.startswith("salesforce:") & link.re_search(r"^[^:]*:[^:]*:[^:]{18}$")
    return ibis.ifelse(long, link.left(link.length() - 3), link)


def parsed_links(nodes: ibis.Table) -> ibis.Table:
    """(i, account, resource, own_vendor, link, to_vendor, to_resource, nid) of every link "vendor:resource:id"."""
    t = nodes.select("i", "account", "resource", own_vendor=nodes.vendor, link=nodes.links).unnest("link")
    t = t.filter(t.link.notnull())
    parts = t.link.split(":")  # an id may have colons of its own
    t = t.mutate(to_vendor=parts[0], to_resource=parts[1])
    t = t.mutate(to_id=t.link.substr(t.to_vendor.length() + t.to_resource.length() + 2))
    t = t.mutate(nid=comparable_id(t.to_vendor, t.to_id))
    return t.filter(t.nid != "")


def _by_links(nodes: ibis.Table, links: ibis.Table, known: ibis.Table) -> ibis.Table:
    """Records and the record each of their links names.

    A link to the own vendor stays in the account. Otherwise any account of the vendor may hold the record; where several
    do, nothing says which one is meant.
    """
    there = known.select(to_account="account", to_vendor="vendor", to_resource="resource", nid="nid", to="to")
    joined = links.inner_join(there, ["to_vendor", "to_resource", "nid"])
    joined = joined.filter((joined.to_vendor != joined.own_vendor) | (joined.to_account == joined.account))
    joined = joined.anti_join(_contradicted(joined, nodes), ["i", "link"])
    one = joined.group_by("i", "link").agg(found=joined.count(), to=joined.to.min())
    return _edge(one.filter(one.found == 1), "i", "to", "link", one.link)


def _contradicted(joined: ibis.Table, nodes: ibis.Table) -> ibis.Table:
    """(i, link) of links to a record that agrees with another live record of the same place: each of them names the other.

    A copied contact keeps the id of the one it was copied from; the two are not one person (rule I-09 asks).
    """
    live = nodes.filter(nodes.live)
    back = joined.semi_join(live, "i").select(i="to", to="i")
    agreed = joined.semi_join(live, "i").semi_join(back, ["i", "to"])
    taken = agreed.select(to="i", account="to_account", resource="to_resource").distinct()
    alone = joined.anti_join(agreed, ["i", "to"])
    return alone.semi_join(taken, ["to", "account", "resource"]).select("i", "link").distinct()


def _by_merges(nodes: ibis.Table, known: ibis.Table) -> list[ibis.Table]:
    loser = nodes.filter(nodes.merged_into.notnull())
    loser = loser.select("i", "account", "vendor", "resource", nid=comparable_id(loser.vendor, loser.merged_into), into=loser.merged_into)
    into = loser.inner_join(known, ["account", "vendor", "resource", "nid"])
    named = nodes.select("i", "account", "vendor", "resource", lost=nodes.merged_ids).unnest("lost").filter(lambda t: t.lost.notnull())
    named = named.mutate(nid=comparable_id(named.vendor, named.lost))
    own = nodes.select("account", "vendor", "resource", "nid", to="i")
    swallowed = named.inner_join(own, ["account", "vendor", "resource", "nid"])
    return [_edge(into, "i", "to", "merge", into.into), _edge(swallowed, "i", "to", "merge", swallowed.lost)]


def _by_conversion(nodes: ibis.Table) -> ibis.Table:
    """A converted lead and the contact it became."""
    lead = nodes.filter(nodes.converted_person_id.notnull())
    lead = lead.select("i", "account", "resource", nid=comparable_id(lead.vendor, lead.converted_person_id))
    contact = nodes.select("account", "nid", to="i", contact_resource="resource")
    joined = lead.inner_join(contact, ["account", "nid"])
    joined = joined.filter(joined.resource != joined.contact_resource)
    return _edge(joined, "i", "to", "converted", joined.nid)


def _by_associations(kind: str, nodes: ibis.Table, associations: ibis.Table) -> ibis.Table:
    """Two records of one kind in different objects of one account (HubSpot's lead and its contact) are one.

    An end may be named by kind or by object; a kind's id that two objects share names neither.
    """
    named = nodes.select("account", "vendor_id", "i", "resource", end=nodes.resource)
    by_kind = nodes.group_by("account", "vendor_id").agg(i=nodes.i.min(), resource=nodes.resource.min(), n=nodes.count())
    by_kind = by_kind.filter(by_kind.n == 1).select("account", "vendor_id", "i", "resource", end=ibis.literal(kind))
    ends = ibis.union(named, by_kind)
    left = ends.select("account", l="i", l_resource="resource", from_kind="end", from_id="vendor_id")
    right = ends.select("account", r="i", r_resource="resource", to_kind="end", to_id="vendor_id")
    joined = associations.inner_join(left, ["account", "from_kind", "from_id"]).inner_join(right, ["account", "to_kind", "to_id"])
    joined = joined.filter(joined.l_resource != joined.r_resource)
    return _edge(joined, "l", "r", "association", joined.from_id.concat(" → ", joined.to_id))


def email_key(email: ibis.Value) -> ibis.Value:
    """The address as compared: lower case, trimmed; Gmail's dots and plus tags do not count. For matching, never written."""
    clean = email.strip().lower()
    local, domain = clean.re_extract(r"^(.*)@([^@]*)$", 1), clean.re_extract(r"^(.*)@([^@]*)$", 2)
    gmail = domain.isin(["gmail.com", "googlemail.com"])
    bare = local.re_replace(r"\+.*$", "").replace(".", "").concat("@gmail.com")
    return ibis.ifelse(gmail, bare, clean)


def site(domain: ibis.Value) -> ibis.Value:
    """The registrable domain of a host: eu.acme.co.uk → acme.co.uk. Null for what has no dot.

    By the usual second levels under country codes, not the public suffix list: two firms on a hosting service's own domain
    look like one.
    """
    return domain.strip().lower().re_extract(_REGISTRABLE, 1).nullif("")


def employer(email: ibis.Value, free_mail: Sequence[str]) -> ibis.Value:
    """The registrable domain of a business address; null for free mail and for what is no address."""
    domain = email.strip().lower().re_extract(r"@([^@]+)$", 1)
    return ibis.ifelse(domain.isin(list(free_mail or _FREE_MAIL)), ibis.null("string"), site(domain))


def address_digest(email: ibis.Value) -> ibis.Value:
    """By what an erased person's address is known again; null for a role's address, which is nobody's."""
    key = email_key(email)
    own = key.contains("@") & key.re_extract(r"^([^@]*)@", 1).notin(_ROLE_ADDRESSES)
    return ibis.ifelse(own, key.hexdigest("sha256"), ibis.null("string"))


def _by_email(nodes: ibis.Table, shared_mailbox: int) -> ibis.Table:
    base = nodes.mutate(list_id=nodes.list_id.fill_null(""))
    first = base.select("i", "account", "resource", "list_id", "live", address=base.email, evidence=ibis.literal("email"))
    other = base.select("i", "account", "resource", "list_id", "live", address=base.other_emails, evidence=ibis.literal("other_email"))
    every = ibis.union(first, other.unnest("address"))
    every = every.filter(every.address.notnull()).mutate(address=email_key(every.address))
    every = every.filter(every.address.contains("@"), every.address.re_extract(r"^([^@]*)@", 1).notin(_ROLE_ADDRESSES))
    return _stars(every, shared_mailbox)


def _by_web_id(nodes: ibis.Table, links: ibis.Table, known: ibis.Table, shared_web_id: int) -> ibis.Table:
    """Live records that carry one id of another vendor under which no record was pulled: a visitor of its web pages."""
    there = known.select(to_vendor="vendor", to_resource="resource", nid="nid")
    t = links.filter(links.to_vendor != links.own_vendor).anti_join(there, ["to_vendor", "to_resource", "nid"])
    own = nodes.filter(nodes.live).select("i", "resource", "live", list_id=nodes.list_id.fill_null(""))
    t = t.mutate(address=t.to_vendor.concat(":", t.to_resource, ":", t.nid), evidence=ibis.literal("web_id"))
    return _stars(t.inner_join(own, "i"), shared_web_id)


def _by_domain(nodes: ibis.Table, free_mail: Sequence[str]) -> ibis.Table:
    """Companies of different systems with one domain, unless a system has several (a group and its subsidiaries)."""
    domain = nodes.domain.strip().lower().re_replace(r"^https?://", "").re_replace(r"^www\.", "").re_replace(r"[/:?].*$", "")
    every = nodes.mutate(address=domain, list_id=ibis.literal(""), evidence=ibis.literal("domain"))
    every = every.filter(every.address.contains("."), every.address.notin(list(free_mail)))
    return _stars(every, 1)


def _stars(every: ibis.Table, most: int) -> ibis.Table:
    """Every holder of a value joined to the first one; values with more than `most` live holders in one place are left out.

    The first is the smallest of those with the best evidence (evidence sorts by name), so that an edge says no more than the
    weaker of its ends.
    """
    place = every.group_by("address", "account", "resource", "list_id").agg(n=every.i.nunique(where=every.live))
    crowded = place.group_by("address").agg(n=place.n.max())
    crowded = crowded.filter(crowded.n > most)
    kept = every.anti_join(crowded, "address")
    kept = kept.mutate(best=kept.evidence.min().over(group_by="address"))
    best = ibis.ifelse(kept.evidence == kept.best, kept.i, ibis.null("int64"))
    kept = kept.mutate(centre=best.min().over(group_by="address"))
    return _edge(kept, "centre", "i", kept.evidence, kept.address)
