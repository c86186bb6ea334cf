"""What experiments are, and what their vendors counted, as the rules look at it."""

from __future__ import annotations

import ibis

from core.rules.rule import Context

BETWEEN = r"[\s_.,:;|/+()\[\]-]+"  # what stands between the words of a name, in whatever spelling
TEST = ["account", "experiment"]


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


def plain(name: ibis.Value) -> ibis.Value:
    return name.lower().re_replace(BETWEEN, "-")


def spelled(ctx: Context, e: ibis.Table) -> ibis.Table:
    """(account, experiment, variation, key): what web analytics may call a variation of a test, if it can be only that one.

    Tool, test and variation, by id or by name, or the last two alone.
    """
    came = tally(ctx, "experiment_visitors")
    t = came.mutate(variant=part(came, "variant")).select(*TEST, "variation", "variant").distinct()
    t = t.inner_join(e.select(*TEST, "vendor", "called"), TEST)
    by_id, by_name = t.experiment.concat("-", t.variation), t.called.concat("-", t.variant)
    spellings = [by_id, by_name, t.vendor.concat("-", by_id), t.vendor.concat("-", by_name)]
    every = ibis.union(*[t.select(*TEST, "variation", key=plain(one)) for one in spellings])
    every = every.filter(every.key.notnull()).distinct()
    one = every.group_by("key").agg(tests=every.count())
    return every.semi_join(one.filter(one.tests == 1), "key")
