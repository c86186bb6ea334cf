"""The funnel's and the velocity's queries as somebody who knows DuckDB would write them over the same facts, to time ours by.

Each function runs its queries and gives {(name, dimension …): number}, to be compared with what the metrics say (`funnel_said`,
`velocity_said`). No rule found anything in the generated company, so nothing is left out here for being doubtful.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any

from core.measure.durations import incidence, kaplan_meier
from core.measure.metric import kept
from core.model import LADDER
from core.thresholds import threshold

Answers = dict[tuple[Any, ...], Any]
_LADDER = ", ".join(f"'{code}'" for code in LADDER)


def funnel(con: Any, name: Mapping[str, str], choices: Any, now: datetime) -> Answers:
    """name: fact → the engine's table. How many stand where, entered in a month, got how far, and waited how long."""
    steps = tuple(threshold(choices, "funnel_steps"))
    persons = f"(SELECT entity_id FROM {name['person']} WHERE NOT excluded)"
    own = f"{name['milestone']} SEMI JOIN {persons} USING (entity_id) WHERE kind = 'person' AND NOT implied"
    at = ", ".join(f"min(reached_at) FILTER (code = '{c}') AS at_{c}, bool_or(code = '{c}') AS has_{c}" for c in steps)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE hand_progress AS SELECT {at}, max(code) FILTER (code IN ({_LADDER})) AS top FROM {own}"
        " GROUP BY entity_id"
    )
    found: Answers = {}
    for basis, column in (("current", "stage"), ("furthest", "furthest_stage")):
        rows = con.execute(f"SELECT {column}, count(*) FROM {name['person']} WHERE NOT excluded GROUP BY 1").fetchall()
        found |= {("stage_count", basis, stage): n for stage, n in rows if stage}
    months = f"SELECT strftime(reached_at, '%Y-%m'), code, count(*) FROM {own} AND reached_at IS NOT NULL AND code IN {steps} GROUP BY 1, 2"
    found |= {("entered", month, code): n for month, code, n in con.execute(months).fetchall()}
    return found | _reached(con, steps) | _waited(con, steps, choices, now)


def _reached(con: Any, steps: tuple[str, ...]) -> Answers:
    counts = {("implied", steps[0]): "count(*)", ("strict", steps[0]): "count(*)", ("any", steps[0]): "count(*)"}
    for i, code in enumerate(steps[1:], 1):
        ordered = " AND ".join(f"at_{b} >= at_{a}" for a, b in pairwise(steps[: i + 1]))
        counts |= {("implied", code): f"count(*) FILTER (top >= '{code}')", ("strict", code): f"count(*) FILTER ({ordered})"}
        counts["any", code] = f"count(*) FILTER (has_{code})"
    began, listed = f"at_{steps[0]}", ", ".join(counts.values())
    rows = con.execute(f"SELECT strftime({began}, '%Y-%m'), {listed} FROM hand_progress WHERE {began} IS NOT NULL GROUP BY 1").fetchall()
    rows += [("all", *(sum(column) for column in zip(*(row[1:] for row in rows), strict=True)))] if rows else []
    return {("reach", month, *key): n for month, *numbers in rows for key, n in zip(counts, numbers, strict=True)}


def _waited(con: Any, steps: tuple[str, ...], choices: Any, now: datetime) -> Answers:
    """Of those who were watched long enough: how many there are, and how many got there in time."""
    found: Answers = {}
    for start, end in dict.fromkeys([*pairwise(steps), (steps[0], steps[-1])]):
        sql = f"""
            SELECT at_{end} IS NOT NULL AS event, floor((epoch(TIMESTAMPTZ '{now}') - epoch(at_{start})) / 86400) AS watched,
                floor((epoch(at_{end}) - epoch(at_{start})) / 86400) AS wait, count(*) AS n
            FROM hand_progress WHERE at_{start} <= TIMESTAMPTZ '{now}' AND (at_{end} >= at_{start} OR
                (at_{end} IS NULL AND coalesce(top < '{end}', true))) GROUP BY ALL"""
        rows = con.execute(sql).fetchall()
        for horizon in threshold(choices, "within_days"):
            old = [(event, wait, n) for event, watched, wait, n in rows if watched >= horizon]
            part = sum(n for event, wait, n in old if event and wait <= horizon)
            found["reach_within", start, end, horizon] = (part, sum(n for *_, n in old))
    return found


def funnel_said(metrics: Iterable[Mapping[str, Any]]) -> Answers:
    """The same numbers, from the metrics of the family."""
    found: Answers = {}
    for row in metrics:
        d = json.loads(row["dimensions"])
        if row["name"] == "stage_count":
            found["stage_count", d["basis"], d["stage"]] = row["n"]
        elif row["name"] == "entered" and row["n"]:
            found["entered", d["month"], d["stage"]] = row["n"]
        elif row["name"] == "reach":
            found["reach", d["cohort"], d["mode"], d["to"]] = row["numerator"]
        elif row["name"] == "reach_within":
            found["reach_within", d["from"], d["to"], d["days"]] = (row["numerator"], row["denominator"])
    return found


_STAYS = """
CREATE OR REPLACE TEMP TABLE hand_stays AS
WITH d AS (
    SELECT entity_id, outcome, close_date, created_at, source_account AS account, source_resource AS resource, source_id AS vendor_id
    FROM {deal} WHERE outcome IN ('open', 'won', 'lost')
), c AS (
    SELECT entity_id, "at", seq,
        CASE WHEN code IN ('M80', 'M90', 'M95') THEN 'won' WHEN code IN ('M85', 'MX') THEN 'lost' ELSE coalesce(code, '?') END AS state
    FROM {changes} SEMI JOIN d USING (entity_id, account, resource, vendor_id)
    WHERE kind = 'deal' AND field = 'stage' AND "at" <= TIMESTAMPTZ '{now}'
), seen AS (
    SELECT d.*, first_at, last_at, last FROM d LEFT JOIN (
        SELECT entity_id, min("at") AS first_at, max("at") AS last_at, arg_max(state, seq) AS last FROM c GROUP BY entity_id
    ) USING (entity_id)
), e AS (
    FROM c UNION ALL
    SELECT entity_id, created_at, -1, '?' FROM seen
    WHERE created_at <= TIMESTAMPTZ '{now}' AND (first_at IS NULL OR epoch(created_at) + 86400 < epoch(first_at)) UNION ALL
    SELECT entity_id, least(greatest(coalesce(close_date::TIMESTAMPTZ, last_at), created_at, last_at), TIMESTAMPTZ '{now}'), 1000000,
        outcome
    FROM seen WHERE outcome <> 'open' AND last IS DISTINCT FROM outcome AND (close_date IS NOT NULL OR last_at IS NOT NULL)
), moved AS (
    FROM e QUALIFY lag(state) OVER (PARTITION BY entity_id ORDER BY "at", seq) IS DISTINCT FROM state
), spells AS (
    SELECT entity_id, state, "at" AS since, lead(state) OVER w AS "to", lead("at") OVER w AS until, row_number() OVER w AS nth
    FROM moved WINDOW w AS (PARTITION BY entity_id ORDER BY "at", seq)
), closing AS (
    SELECT *, min(until) FILTER ("to" IN ('won', 'lost')) OVER w AS closed_at, min(until) FILTER ("to" = 'won') OVER w AS won_at
    FROM spells WINDOW w AS (PARTITION BY entity_id ORDER BY nth ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
)
SELECT *, CASE WHEN closed_at IS NULL THEN NULL WHEN closed_at = won_at THEN 'won' ELSE 'lost' END AS result
FROM closing WHERE state NOT IN ('won', 'lost')
"""
_ENDS = """
SELECT state, greatest(floor((epoch(coalesce(until, TIMESTAMPTZ '{now}')) - epoch(since)) / 86400), 0) AS days,
    CASE WHEN "to" IS NULL THEN 0 WHEN "to" = 'won' THEN 1 WHEN "to" = 'lost' THEN 3 WHEN "to" < state THEN 4 ELSE 2 END AS ending, count(*)
FROM hand_stays WHERE state <> '?' GROUP BY ALL ORDER BY ALL
"""
_MOVES = """
WITH s AS (
    SELECT *, lag(state) OVER (PARTITION BY entity_id ORDER BY nth) AS before,
        list_position(['M50', 'M60', 'M70', 'M80'], state) AS here,
        list_position(['M50', 'M60', 'M70', 'won'], "to") AS there
    FROM hand_stays WHERE state <> '?' AND "to" IS NOT NULL
), deals AS (
    SELECT bool_or("to" < state AND "to" NOT IN ('won', 'lost')) AS regressed, bool_or(coalesce(there - here > 1, false)) AS skipped,
        bool_or(coalesce("to" = before AND epoch(until) - epoch(since) < 86400, false)) AS bounced
    FROM s GROUP BY entity_id
)
SELECT count(*), count(*) FILTER (regressed), count(*) FILTER (skipped), count(*) FILTER (bounced) FROM deals
"""
_STILL = """
SELECT count(*) FROM {deal} ANTI JOIN (SELECT entity_id FROM hand_stays WHERE state <> '?' AND "to" IS NOT NULL) USING (entity_id)
WHERE outcome IN ('open', 'won', 'lost')
"""
_CYCLE = """
SELECT floor((epoch(coalesce(f.closed_at, TIMESTAMPTZ '{now}')) - epoch(created_at)) / 86400) AS days,
    CASE f.result WHEN 'won' THEN 1 WHEN 'lost' THEN 2 ELSE 0 END AS ending, count(*)
FROM {deal} JOIN (
    SELECT entity_id, min(closed_at) AS closed_at, arg_min(result, nth) AS result FROM hand_stays GROUP BY 1
) f USING (entity_id)
WHERE created_at IS NOT NULL GROUP BY ALL HAVING days >= 0 ORDER BY ALL
"""


def velocity(con: Any, name: Mapping[str, str], choices: Any, now: datetime) -> Answers:
    """Where deals go from each stage and when, their moves, and how long they take."""
    said = {**name, "now": now}
    con.execute(_STAYS.format(**said))
    horizons = [int(days) for days in threshold(choices, "within_days")]
    ends = con.execute(_ENDS.format(**said)).fetchall()
    found: Answers = {}
    for code in sorted({row[0] for row in ends}):
        mine = [(float(days), end, n) for state, days, end, n in ends if state == code]
        curve, leaving = incidence(mine, 4), kaplan_meier([(days, int(end > 0), n) for days, end, n in mine])
        for i, end in enumerate(("won", "forward", "lost", "back"), 1):
            found |= {("stage_end", code, end, days): round(kept(curve.at(float(days), i)), 9) for days in horizons}
        found["days_in_stage", code] = (leaving.quantile(0.5)[0], leaving.n, leaving.events)
    n, *moves = con.execute(_MOVES).fetchone()
    found["never seen to move",] = con.execute(_STILL.format(**said)).fetchone()[0]
    found |= {("deal_moves", move): (k, n) for move, k in zip(("regressed", "skipped", "bounced"), moves, strict=True)}
    taken = [(float(days), end, n) for days, end, n in con.execute(_CYCLE.format(**said)).fetchall()]
    won, both = kaplan_meier([row for row in taken if row[1] == 1]), incidence(taken, 2)
    found |= {("sales_cycle", label): won.quantile(q)[0] for label, q in (("median", 0.5), ("p75", 0.75), ("p90", 0.9))}
    for i, end in enumerate(("won", "lost"), 1):
        found |= {("closed_within", days, end): round(kept(both.at(float(days), i)), 9) for days in horizons}
    return found


def velocity_said(metrics: Iterable[Mapping[str, Any]]) -> Answers:
    """The same numbers, from the metrics of core.measure.velocity."""
    found: Answers = {}
    for row in metrics:
        d, value = json.loads(row["dimensions"]), row["value"]
        if row["name"] == "stage_end":
            found["stage_end", d["stage"], d["end"], d["days"]] = round(value, 9)
        elif row["name"] == "days_in_stage":
            found["days_in_stage", d["stage"]] = (value, row["n"], row["numerator"])
        elif row["name"] == "deal_moves":
            found["deal_moves", d["move"]] = (row["numerator"], row["denominator"])
            found["never seen to move",] = json.loads(row["excluded"]).get("never seen to move", 0)
        elif row["name"] == "sales_cycle":
            found["sales_cycle", d["quantile"]] = value
        elif row["name"] == "closed_within":
            found["closed_within", d["days"], d["end"]] = round(value, 9)
    return found
