"""How far the systems agree: of the records that two accounts have of one entity, the share whose field says the same, field by field.

Only what both say is compared: a blank is no disagreement. It must not know who is right, nor what may be written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import ibis
import pyarrow as pa

from core.compiled import Compiled

Value = Callable[[ibis.Table], ibis.Value]


@dataclass(frozen=True)
class Agreement:
    """Of one field: `both` accounts say something in so many pairs of records, and the same thing in `equal` of them."""

    kind: str
    field: str
    left: str
    right: str
    both: int
    equal: int


def _text(name: str) -> Value:
    """Text as people compare it: without case and outer blanks; nothing is no value."""
    return lambda t: t[name].lower().strip().nullif("")


def _plain(name: str) -> Value:
    return lambda t: t[name].cast("string")


def _stage(t: ibis.Table) -> ibis.Value:
    """A subscription is no stage of a sale: who only knows that one says nothing of it."""
    return ibis.ifelse(t.stage >= "M20", t.stage, ibis.null("string"))


def _name(t: ibis.Table) -> ibis.Value:
    return _text("first_name")(t).concat(" ", _text("last_name")(t))


def _money(t: ibis.Table) -> ibis.Value:
    return t.amount.cast("float64").cast("string").concat(" ", t.currency.upper())


FIELDS: Mapping[str, tuple[str, Mapping[str, Value]]] = {  # kind → (its fact, fields)
    "person": ("people", {
        "stage": _stage, "owner": _text("owner_email"), "name": _name, "company": _text("company_name"),
        "may be mailed": _plain("marketable"),
    }),
    "company": ("companies", {
        "name": _text("name"), "domain": _text("domain"), "industry": _text("industry"), "country": _text("country"),
        "employees": _plain("employees"),
    }),
    "deal": ("deals", {
        "stage": _plain("stage"), "outcome": _plain("result"), "amount": _money, "close date": _plain("close_date"),
        "owner": _text("owner_email"), "lost reason": _text("lost_reason"),
    }),
}  # fmt: skip


def agreement(facts: Mapping[str, ibis.Table], compiled: Compiled) -> list[Agreement]:
    """By kind and field, each pair of accounts (in alphabetical order) that both say it of an entity at least once."""
    return [one for kind, (fact, fields) in FIELDS.items() for one in _of(kind, facts[fact], fields, compiled)]


def _of(kind: str, records: ibis.Table, fields: Mapping[str, Value], compiled: Compiled) -> Iterator[Agreement]:
    counts = [(f"both_{i}", f"equal_{i}") for i in range(len(fields))]
    schema = pa.schema([("l", pa.string()), ("r", pa.string()), *((name, pa.int64()) for pair in counts for name in pair)])
    rows = compiled.rows(f"agreement.{kind}", partial(_compared, records, fields), schema).to_pylist()
    for field, (both, equal) in zip(fields, counts, strict=True):
        yield from (Agreement(kind, field, row["l"], row["r"], row[both], row[equal]) for row in rows if row[both])


def _compared(records: ibis.Table, fields: Mapping[str, Value]) -> ibis.Table:
    """(l, r, both_0, equal_0, …): one row for each pair of accounts."""
    t = records.select("entity_id", "account", **{f"v{i}": value(records) for i, value in enumerate(fields.values())})
    t = t.inner_join(t.view(), "entity_id", rname="r_{name}")
    t = t.filter(t.account < t.r_account)
    counts: dict[str, ibis.Value] = {}
    for i in range(len(fields)):
        here, there = t[f"v{i}"], t[f"r_v{i}"]
        known = here.notnull() & there.notnull()
        counts |= {f"both_{i}": known.sum(), f"equal_{i}": (known & (here == there)).sum()}
    return t.group_by(l="account", r="r_account").agg(**counts).order_by("l", "r")
