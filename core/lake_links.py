"""The ids of another vendor that records carry, read from the lake: what is pulled by an id only a CRM knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.lake import Lake

_KINDS = ("person", "company", "deal")


def linked_ids(lake: Lake, vendor: str, name: str, size: int = 10_000) -> Iterator[list[str]]:
    """Distinct ids in links "vendor:name:id" of live persons, companies and deals of all accounts, in order, `size` at a time."""
    with lake.borrowed() as connection:
        relations = [r for kind in _KINDS if (r := lake.relation(connection, kind)) is not None]
        if not relations:
            return
        links = " UNION ALL ".join(
            f"""SELECT unnest(links) AS link FROM (SELECT arg_max(links, version) AS links FROM {relation}
                GROUP BY account, resource, vendor_id HAVING arg_max(NOT deleted AND merged_into IS NULL, version))"""
            for relation in relations
        )
        prefix = f"{vendor}:{name}:"
        query = f"SELECT DISTINCT substr(link, ?) AS id FROM ({links}) WHERE starts_with(link, ?) ORDER BY id"
        cursor = connection.execute(query, [len(prefix) + 1, prefix])
        while rows := cursor.fetchmany(size):
            if ids := [row[0] for row in rows if row[0]]:
                yield ids


def carried_ids(lake: Lake, keys: Sequence[tuple[str, str, str]]) -> set[str]:
    """The ids of other systems that these (account, resource, vendor_id) records carry, or ever carried, as links."""
    connection = lake.connect()
    try:
        relations = [r for kind in _KINDS if (r := lake.relation(connection, kind)) is not None]
        query = " UNION ALL ".join(
            f"SELECT unnest(links) FROM {relation} WHERE account = $account AND resource = $resource AND vendor_id = $id"
            for relation in relations
        )
        found: list[tuple[str]] = []
        for account, resource, vendor_id in keys if relations else ():
            found += connection.execute(query, {"account": account, "resource": resource, "id": vendor_id}).fetchall()
    finally:
        connection.close()
    return {link.split(":", 2)[2] for (link,) in found if link and link.count(":") >= 2}


def named_touches(lake: Lake, keys: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """(account, resource, vendor_id) of touches that know these persons by address or link only: a survey's answer, a visit.

    The links are those the persons' records carry or ever carried, and the records themselves.
    """
    connection = lake.connect()
    try:
        people, touches = lake.relation(connection, "person"), lake.relation(connection, "touch")
        if people is None or touches is None:
            return []
        addresses: set[str] = set()
        links: set[str] = set()
        mine = f"FROM {people} WHERE account = ? AND resource = ? AND vendor_id = ?"
        for key in keys:
            for vendor, email, others, carried in connection.execute(f"SELECT vendor, email, other_emails, links {mine}", key).fetchall():
                addresses |= {address.strip().lower() for address in [email, *(others or ())] if address}
                links |= {f"{vendor}:{key[1]}:{key[2]}", *(carried or ())}
        found = connection.execute(
            f"""SELECT DISTINCT account, resource, vendor_id FROM {touches}
                WHERE list_contains($addresses, lower(trim(email))) OR list_has_any(links, $links) ORDER BY ALL""",
            {"addresses": sorted(addresses), "links": sorted(links)},
        ).fetchall()
        return [(account, resource, vendor_id) for account, resource, vendor_id in found]
    finally:
        connection.close()


def kinds_of(lake: Lake, keys: Sequence[str]) -> dict[str, str]:
    """key → person, company or deal, for those of the records account:resource:id that were ever pulled, by any id they had."""
    found: dict[str, str] = {}
    with lake.borrowed() as connection:
        for kind in _KINDS:
            if (relation := lake.relation(connection, kind)) is None:
                continue
            query = f"""SELECT 1 FROM {relation} WHERE account = $account AND resource = $resource AND (
                vendor_id = $id OR list_contains(merged_ids, $id) OR (vendor = 'salesforce' AND length($id) IN (15, 18)
                AND vendor_id[:15] = $id[:15])) LIMIT 1"""
            for key in keys:
                account, resource, id_ = key.split(":", 2)
                if connection.execute(query, {"account": account, "resource": resource, "id": id_}).fetchone():
                    found.setdefault(key, kind)
    return found
