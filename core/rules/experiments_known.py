"""What experiments are, and what their vendors counted, as the rules look at it."""

from __future__ import annotations

import ibis

from core.rules.rule import Context


def part(t: ibis.Table, name: str) -> ibis.Value:
    """An attribute as text."""
    return t.attributes.re_extract(f'"{name}":"?([^",}}]+)', 1).nullif("")


def tally(ctx: Context, measure: str) -> ibis.Table:
    """(account, experiment, variation, amount, day, attributes) of a measure that is counted per variation."""
    t = ctx.records("tally")
    t = t.filter(t.measure == measure, ~t.deleted.fill_null(False), t.value.notnull())
    named = {name: part(t, f"{name}_id") for name in ("experiment", "variation")}
    return t.select("account", **named, amount="value", day="day", attributes="attributes")


def experiments(ctx: Context) -> ibis.Table:
    t = ctx.records("experiment")
    return t.filter(~t.deleted.fill_null(False)).mutate(experiment="vendor_id", called=ibis.coalesce(t.name, t.vendor_id))
