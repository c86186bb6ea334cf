"""What deals did when: their stays in the open stages, and what was known of each of them at any instant.

Everything comes from dated histories of the record that is believed, so that the past can be rebuilt as it was. Where a vendor
has no history of amounts or close dates, today's stand in for it; `undated` counts those deals, and every number says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import ibis
import pyarrow as pa

from core.measure.distrust import flagged
from core.measure.metric import Scope
from core.tables import MOMENT, instant, keep, stack

WON, LOST, UNKNOWN = "won", "lost", "?"
_WON, _LOST = ("M80", "M90", "M95"), ("M85", "MX")
_FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
_RECORD = ["entity_id", "account", "resource", "vendor_id"]
_EVENT = {
    "entity_id": "string",
    "at": MOMENT,
    "seq": "int64",
    "state": "string",
    "stamped": "boolean",
}


def leaders(scope: Scope) -> ibis.Table:
    """Deals that are open, won or lost, with the record that is believed, and its forecast category where it has one."""
    return scope.once("leaders", lambda: keep(_leaders(scope)))


def _leaders(scope: Scope) -> ibis.Table:
    d = scope.facts["deal"]
    d = d.filter(d.outcome.isin(["open", "won", "lost"])).select(
        "entity_id", "outcome", "currency", "close_date", "created_at", "probability", "owner_email", "last_activity_at",
        account="source_account", resource="source_resource", vendor_id="source_id", amount=d.amount.cast("float64"),
    )  # fmt: skip
    records = scope.facts["deals"].filter(lambda t: t.forecast_category.notnull())
    category = records.group_by(_RECORD).agg(forecast_category=records.forecast_category.max())
    return d.left_join(category, _RECORD).drop(*(f"{name}_right" for name in _RECORD))


def stays(scope: Scope) -> ibis.Table:
    """One row per unbroken stay of a deal in an open stage.

    entity_id, code (UNKNOWN: no history says), since, until (null: still there), ended (the same, for comparing), to (the state after),
    back (is it one it came from?), closed_at and result (how it first closed from here), won_at (when it was next won), seq (the change
    it began with), sound (its dates are to be believed).
    """
    return scope.once("stays", lambda: keep(_stays(scope)))


def _stays(scope: Scope) -> ibis.Table:
    e = _events(scope)
    by = {"group_by": "entity_id", "order_by": [e.at, e.seq]}
    before = e.state.lag().over(**by)
    e = e.mutate(before=before).filter(before.isnull() | (before != e.state))
    by = {"group_by": "entity_id", "order_by": [e.at, e.seq]}
    some = scope.distrust.stamped is not None  # else nothing need be carried through the sorting for it
    left = e.stamped.lead().over(**by) if some else ibis.literal(False)
    e = e.mutate(to=e.state.lead().over(**by), until=e.at.lead().over(**by), order=ibis.row_number().over(**by), left=left)
    rest = {"group_by": "entity_id", "order_by": "order", "rows": (0, None)}
    e = e.mutate(
        won_at=ibis.ifelse(e.to == WON, e.until, ibis.null(MOMENT)).min().over(**rest),
        closed_at=ibis.ifelse(e.to.isin([WON, LOST]), e.until, ibis.null(MOMENT)).min().over(**rest),
    )
    e = e.filter(~e.state.isin([WON, LOST]))
    e = flagged(e, "disordered", scope.distrust.disordered_deals)
    return e.select(
        "entity_id", "until", "to", "won_at", "closed_at", "order", "seq", code="state", since="at",
        result=ibis.ifelse(e.closed_at.isnull(), ibis.null("string"), ibis.ifelse(e.closed_at.identical_to(e.won_at), WON, LOST)),
        ended=e.until.fill_null(instant(_FOREVER)),
        back=((e.to < e.state) & ~e.to.isin([WON, LOST])).fill_null(False),
        sound=~(e.disordered | e.stamped | e.left.fill_null(False)),
    )  # fmt: skip


def _changes(scope: Scope) -> ibis.Table:
    """The believed records' changes of stage until now."""
    c = scope.facts["changes"]
    return c.filter(c.kind == "deal", c.field == "stage", c.at <= instant(scope.as_of)).semi_join(leaders(scope), _RECORD)


def _chances(scope: Scope) -> ibis.Table:
    """(deal, began, chance): the CRM's probability of the stage that a change led to."""
    c = _changes(scope).select("account", "value", deal="entity_id", began="seq")
    if "stages" not in scope.facts:
        return c.select("deal", "began", chance=ibis.null("float64"))
    return c.inner_join(scope.facts["stages"].select("account", "value", "chance"), ["account", "value"]).select("deal", "began", "chance")


def _events(scope: Scope) -> ibis.Table:
    """The states deals came into: by history; before it, from creation, a stage unknown; closed without one, on the close date."""
    d, c, now = leaders(scope), _changes(scope), instant(scope.as_of)
    stamped = scope.distrust.stamped
    c = flagged(c, "stamped", stamped, ("account", "resource", "vendor_id", "field", "seq"))
    state = ibis.cases((c.code.isin(_WON), WON), (c.code.isin(_LOST), LOST), (c.code.notnull(), c.code), else_=UNKNOWN)
    c = c.mutate(state=state)
    ends = c.group_by("entity_id").agg(first_at=c.at.min(), last_at=c.at.max(), last=c.state.argmax(c.seq))
    d = d.left_join(ends, "entity_id").drop("entity_id_right")
    plain: dict[str, Any] = {"stamped": ibis.literal(False)}
    early = d.first_at.isnull() | (d.created_at.epoch_seconds() + 86400 < d.first_at.epoch_seconds())
    born = d.filter(d.created_at.notnull() & (d.created_at <= now) & early)
    shut = d.filter(d.outcome.isin([WON, LOST]), ~d["last"].identical_to(d.outcome), d.close_date.notnull() | d.last_at.notnull())
    at = ibis.least(ibis.greatest(ibis.coalesce(shut.close_date.cast(MOMENT), shut.last_at), shut.created_at, shut.last_at), now)
    parts = [
        c.select("entity_id", "at", "seq", "state", "stamped"),
        born.select("entity_id", at="created_at", seq=ibis.literal(-1), state=ibis.literal(UNKNOWN), **plain),
        shut.select("entity_id", at=at, seq=ibis.literal(1_000_000), state="outcome", **plain),
    ]
    return stack(parts, _EVENT)


def day_of(value: ibis.Value) -> ibis.Value:
    """A close date as vendors' histories spell it: a day, an instant that begins with its day, or milliseconds since 1970."""
    since_1970 = (value.try_cast("int64") / 1000).floor().cast("int64")  # in whole seconds: not every engine reads milliseconds
    return ibis.coalesce(value.left(10).try_cast("date"), since_1970.as_timestamp("s").date())


def values(scope: Scope, field: str) -> ibis.Table:
    """(entity_id, since, ended, value) of deals' amounts (numbers) or close dates (days), as long as each stood."""
    return scope.once(f"values.{field}", lambda: keep(_values(scope, field)))


def _values(scope: Scope, field: str) -> ibis.Table:
    c = scope.facts["changes"]
    c = c.filter(c.kind == "deal", c.field == field, c.at <= instant(scope.as_of)).semi_join(leaders(scope), _RECORD)
    c = c.mutate(read=c.value.try_cast("float64") if field == "amount" else day_of(c.value))
    ended = c.at.lead().over(group_by="entity_id", order_by=[c.at, c.seq]).fill_null(instant(_FOREVER))
    return c.mutate(ended=ended).select("entity_id", "ended", since="at", value="read")


def held(t: ibis.Table, history: ibis.Table, at: str, into: str) -> ibis.Table:
    """t with the value that stood at its instant `at`, and `<into>_dated`: does the deal have such a history at all?"""
    some = history.select("entity_id").distinct().mutate(**{f"{into}_dated": ibis.literal(True)})
    t = t.left_join(some, "entity_id").drop("entity_id_right")
    t = t.mutate(**{f"{into}_dated": t[f"{into}_dated"].fill_null(False)})
    h = history.select(deal="entity_id", from_="since", until_="ended", **{into: "value"})
    return t.left_join(h, [t.entity_id == h.deal, h.from_ <= t[at], h.until_ > t[at]]).drop("deal", "from_", "until_")


def positions(scope: Scope, instants: Sequence[datetime]) -> ibis.Table:
    """The open deals at each of the instants: mark (its place in the list), entity_id, code, age (days in the stage), amount,
    due (close date), chance, won_at (when won next), since, created_at, as known then; `amount_dated`, `due_dated`: by history."""
    marks = pa.table({"mark": pa.array(range(len(instants)), pa.int64()), "moment": pa.array(list(instants), pa.timestamp("us", "UTC"))})
    m, s, d = ibis.memtable(marks), stays(scope), leaders(scope)
    t = s.inner_join(m, [s.since <= m.moment, s.ended > m.moment])
    t = held(held(t, values(scope, "amount"), "moment", "quoted"), values(scope, "close_date"), "moment", "planned")
    t = t.inner_join(d.select("entity_id", "currency", "amount", "close_date", "created_at", "probability", "outcome"), "entity_id")
    c = _chances(scope)
    t = t.left_join(c, [t.entity_id == c.deal, t.seq == c.began]).drop("deal", "began")
    now = t.moment == instant(scope.as_of)
    age = ((t.moment.epoch_seconds() - t.since.epoch_seconds()) / 86400.0).floor().cast("int64")
    return t.select(
        "mark", "entity_id", "code", "order", "since", "created_at", "won_at", "currency", "sound", "outcome", age=age,
        amount=ibis.ifelse(t.quoted_dated & ~(now & t.quoted.isnull()), t.quoted, t.amount),
        due=ibis.ifelse(t.planned_dated & ~(now & t.planned.isnull()), t.planned, t.close_date),
        chance=ibis.ifelse(now & (t.outcome == "open"), ibis.coalesce(t.probability, t.chance), t.chance),
        amount_dated="quoted_dated", due_dated="planned_dated",
    )  # fmt: skip


def wins(scope: Scope) -> ibis.Table:
    """One row per deal that was ever won: first won_at, won_amount (as known when it was), created_at, currency, and what stands now:
    final_at (null: not won any more) and final_amount."""
    return scope.once("wins", lambda: keep(_wins(scope)))


def _wins(scope: Scope) -> ibis.Table:
    s = stays(scope)
    s = s.filter(s.to == WON)
    w = s.group_by("entity_id").agg(won_at=s.until.min(), last_at=s.until.max())
    w = held(w, values(scope, "amount"), "won_at", "quoted")
    d = leaders(scope).select("entity_id", "outcome", "currency", "amount", "created_at")
    w = w.inner_join(d, "entity_id")
    return w.select(
        "entity_id", "won_at", "created_at", "currency",
        won_amount=ibis.ifelse(w.quoted_dated, w.quoted, w.amount),
        final_at=ibis.ifelse(w.outcome == WON, w.last_at, ibis.null(MOMENT)),
        final_amount=w.amount,
    )  # fmt: skip
