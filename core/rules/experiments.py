"""Experiments whose numbers cannot be trusted as they are: samples unlike the plan, persons in two variants."""

from __future__ import annotations

import ibis

from core.rules.experiments_known import experiments, part, tally
from core.rules.rule import Context, Rule, one_side, prefixed, record_key, side, sides
from core.tables import days_between

_MOST = 20  # variants of an experiment that are compared
_CHANGING = '"type":"[^"]*bandit'  # types of experiments whose shares move while they run
_UNSETTLED = '"disabled":true|"status":"(paused|archived)"'  # a variant that was taken out: the shares are not those of the sample
_RUNNING = ("running",)
_TRIMMED = r"^https?://(www\.)?|[?#].*$|/+([?#].*)?$"  # what does not tell pages apart
_EXPECTED = 5  # visitors a variant must be due for chi-square to mean anything


def _sample(ctx: Context) -> ibis.Table:
    """(account, experiment, variation, variant, visitors, part, due): who came, what share was planned, whom that would be."""
    key = ["account", "experiment"]
    planned = tally(ctx, "experiment_share")
    planned = planned.mutate(unsettled=planned.attributes.re_search(_UNSETTLED).fill_null(False))
    planned = planned.group_by(*key, "variation").agg(share=planned.amount.max(), unsettled=planned.unsettled.any())
    came = tally(ctx, "experiment_visitors")
    came = came.mutate(variant=part(came, "variant"))
    came = came.group_by(*key, "variation").agg(visitors=came.amount.max(), variant=came.variant.max())
    t = planned.filter(planned.share > 0).left_join(came, [*key, "variation"]).drop(*(f"{name}_right" for name in (*key, "variation")))
    t = t.mutate(visitors=t.visitors.fill_null(0), variant=ibis.coalesce(t.variant, t.variation))
    every = {"group_by": key}
    t = t.mutate(part=t.share / t.share.sum().over(**every), all=t.visitors.sum().over(**every))
    return t.mutate(due=t.part * t["all"])


def _mismatch(ctx: Context) -> ibis.Table:
    """Chi-square over the variants of each experiment, against their planned shares."""
    t = _sample(ctx)
    said = t.variant.concat(" ", t.visitors.round(0).cast("int64").cast("string"))
    plan = (t.part * 100).round(1).cast("string").concat(" %")
    t = t.group_by("account", "experiment").agg(
        unsettled=t.unsettled.any(), variants=t.count(), least=t.due.min(), chi=((t.visitors - t.due).pow(2) / t.due).sum(),
        value=said.group_concat(", ", order_by=t.variation), plan=plan.group_concat(", ", order_by=t.variation),
    )  # fmt: skip
    t = t.filter(~t.unsettled, t.least >= _EXPECTED)
    t = t.mutate(bound=_bound(t.variants, float(ctx.limit("sample_ratio_p"))))
    t = t.filter(t.chi > t.bound)
    e = experiments(ctx)
    t = t.inner_join(e.filter(~e.attributes.re_search(_CHANGING).fill_null(False)), ["account", "experiment"])
    t = t.mutate(entity_id=record_key(t))
    chi = t.chi.round(1).cast("string").concat(" where ", t.bound.round(1).cast("string"), " is the limit")
    return side(t, "experiment", "sample", at=t.started_at, note=t.called.concat(": planned ", t.plan, "; chi-square ", chi))


def _bound(variants: ibis.Value, p: float) -> ibis.Value:
    """What chi-square exceeds with this probability where nothing is wrong; null for one variant, or for too many."""
    from scipy.special import chdtri  # here: it is only needed where the query is not known yet

    return ibis.cases(*[(variants == n, float(chdtri(n - 1, p))) for n in range(2, _MOST + 1)], else_=ibis.null("float64"))


def _several(ctx: Context) -> ibis.Table:
    """One finding per person and experiment, with the first sight of each variant."""
    t = ctx.facts["touches"]
    t = t.filter(t.kind == "exposure", t.campaign_id.notnull(), t.event.notnull())
    whole = ["account", "campaign_id"]
    t = t.mutate(sight=ibis.row_number().over(group_by=["entity_id", *whole, "event"], order_by=[t.occurred_at, t.vendor_id]))
    t = t.filter(t.sight == 0)
    persons = t.group_by("entity_id", *whole).agg(seen=t.count())
    share = persons.group_by(*whole).agg(many=(persons.seen > 1).sum(), known=persons.count())
    t = t.inner_join(persons.filter(persons.seen > 1), ["entity_id", *whole])
    t = t.inner_join(share, whole)
    e = experiments(ctx).select("account", "called", campaign_id="experiment")
    t = t.left_join(e, whole).drop("account_right", "campaign_id_right")
    much = (t.many / t.known * 100).round(1).cast("string").concat(" %")
    counted = t.many.cast("string").concat(" of ", t.known.cast("string"), " known visitors (", much, ")")
    note = ibis.coalesce(t.called, t.campaign_id).concat(": ", counted)
    grave = t.many / t.known > float(ctx.limit("several_variants_share"))
    severity = ibis.ifelse(grave, "S2", "S4")
    return side(t, "person", "variant", part=t.campaign_id, value=t.event, at=t.occurred_at, note=note, severity=severity)


def _overlapping(ctx: Context) -> ibis.Table:
    """One finding per page and pair of experiments that ran on it at the same time for long enough."""
    e = _windows(ctx)
    a, b = prefixed(e, "a_", "page"), prefixed(e, "b_", "page")
    t = a.inner_join(b, "page").filter(lambda t: t.a_key < t.b_key)
    t = t.filter(~(t.a_layer == t.b_layer).fill_null(False))
    t = t.mutate(since=ibis.greatest(t.a_started_at, t.b_started_at), until=ibis.least(t.a_over, t.b_over))
    t = t.filter(days_between(t.since, t.until) >= float(ctx.limit("overlap_days")))
    t = t.mutate(entity_id=t.a_key.concat(" ", t.b_key), note=t.page.concat(": together for ", _days(t.since, t.until), " days"))
    both = [one_side(t, p, "experiment", "pages", part=t.page, value=t[f"{p}called"], at=t.since) for p in ("a_", "b_")]
    return sides(*both)


def _windows(ctx: Context) -> ibis.Table:
    """(page, key, called, started_at, over, layer) of experiments whose times are known; one that runs is not over before now."""
    e = experiments(ctx)
    e = e.filter(e.started_at.notnull(), ibis.coalesce(e.ended_at.notnull(), False) | e.status.lower().isin(_RUNNING))
    layer = e.account.concat(":", part(e, "project_id"), ":", part(e, "campaign_id"))
    e = e.mutate(key=record_key(e), over=ibis.coalesce(e.ended_at, ctx.now), layer=layer, address=e.pages)
    e = e.select("account", "resource", "vendor_id", "key", "called", "started_at", "over", "layer", "address").unnest("address")
    e = e.mutate(page=e.address.lower().re_replace(_TRIMMED, ""))
    return e.filter(~e.page.contains("*")).drop("address").distinct()


def _days(since: ibis.Value, until: ibis.Value) -> ibis.Value:
    return days_between(since, until).floor().cast("int64").cast("string")


RULES = (
    Rule(
        "X-01", "Sample-ratio mismatch", "S1", "The variants did not get the visitors that were planned: something loses them, and no "
        "effect of this test can be believed.", _mismatch,
        question="What keeps visitors from a variant: redirects, crashes, bots, a change of shares while the test ran? Until then the "
        "effect should not be shown.",
        example="Of a test planned half and half, 5,300 visitors saw A and 4,700 saw B: chance does that less than once in a thousand "
        "times.",
        exact="Chi-square of the visitors of an experiment's variants against their planned shares exceeds what chance does with a "
        "probability of `sample_ratio_p`. Bandits, experiments with a variant that was taken out, and those where a variant is due fewer "
        "than five visitors are left alone.",
    ),
    Rule(
        "X-02", "Person in several variants", "S2", "Who saw two variants belongs to neither; in analyses he is left out.", _several,
        question="Does one person use several browsers, or did the experiment reassign its visitors?",
        example="Ana saw variant A at work and variant B on her telephone.",
        exact="One person was shown two or more variants of one experiment, by any of the browsers the CRM knows of. S2 where that "
        "happened to more than `several_variants_share` of the known persons in the experiment, else S4.",
    ),
    Rule(
        "X-04", "Tests overlap on a page", "S4", "What one test does to visitors is in the numbers of the other, too.", _overlapping,
        example="Optimizely changed the head of /pricing from 1 to 20 June, VWO the buttons of the same page from 10 June on.",
        exact="Two experiments, of whatever tools, changed the same page for `overlap_days` or longer at the same time. Experiments of one "
        "layer exclude each other and are left alone, and so are those whose pages or times are not known.",
    ),
)  # fmt: skip
