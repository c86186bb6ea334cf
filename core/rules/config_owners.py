"""Configuration: fields that another integration writes as well as the hub."""

from __future__ import annotations

import ibis

from core.rules.rule import Context, Rule, side, sides

_EXAMPLES = 20  # records named per field
_SYNCED = ("hubspot", "salesforce")  # the two sides of HubSpot's own sync


def _two_owners(ctx: Context) -> ibis.Table:
    """One finding per field: where the hub writes it, and records in which the sync was seen at it. `written`: core.written_fields."""
    w = ctx.facts["written"]
    w = w.mutate(entity_id=w.account.concat(":", w.resource, ":", w.field))
    seen = _by_sync(ctx).inner_join(
        w.filter(w.ours.notnull(), w.vendor.isin(_SYNCED)).select("kind", "entity_id", "field", changed="ours"), ["kind", "changed"]
    )
    said = w.filter(w.synced.notnull() | w.entity_id.isin(seen.entity_id))
    note = ibis.literal("the hub writes it by ").concat(
        said.place, ibis.coalesce(ibis.literal("; left to others by ").concat(said.synced), "")
    )
    both = (
        side(said, "field", said.field, vendor_id=said.field, note=note),
        side(seen, "field", seen.field, value=seen.value, at=seen["at"], note=ibis.literal("written by ").concat(seen.called)),
    )
    return sides(*both)


def _by_sync(ctx: Context) -> ibis.Table:
    """(kind, changed, account, resource, vendor_id, value, at, called): the latest changes by the user HubSpot's sync signs in as.

    A record's first values are left out: who creates a record fills it, and need not keep it up afterwards.
    """
    words = "|".join(str(word).lower() for word in ctx.limit("sync_users"))
    o = ctx.records("owner")
    o = o.filter(o.vendor == "salesforce", o.name.lower().re_search(words or "$^").fill_null(False))
    users = o.group_by("account", writer="vendor_id").agg(called=o.name.max())
    t = ctx.facts["changes"]
    t = t.filter(t.seq > 0, t.at >= ctx.ago(days=float(ctx.limit("sync_days")))).inner_join(users, ["account", "writer"])
    place = ibis.row_number().over(group_by=["account", "kind", "field"], order_by=[t.at.desc(), t.vendor_id])
    t = t.mutate(place=place).filter(lambda x: x.place < _EXAMPLES)
    return t.select("kind", "account", "resource", "vendor_id", "value", "at", "called", changed="field")


RULES = (
    Rule(
        "G-06", "Two integrations own one field", "S1",
        "What the hub writes, the other integration overwrites, or carries into a system nobody meant.", _two_owners,
        question="Which of the two is to write this field? Name it under `synced_natively` in the mapping and the hub only reads it, or "
        "take it out of the sync.",
        example="HubSpot's own Salesforce sync writes the amount, and so does the hub.",
        exact="The mapping writes a field that it leaves to another integration (its synced_natively); or one of the users that Salesforce "
        "knows by one of the words of `sync_users` has changed the field there within `sync_days`, and the hub writes it into HubSpot or "
        "Salesforce.",
    ),
)  # fmt: skip
