"""Metric rows side by side: which of them stand in one table, as data; what no table asks for is listed one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from jobs.footnotes import Footnotes
from jobs.report.sparkline import blocks
from jobs.show_marks import ABOUT, COUNTED_BY, TRUST, said
from jobs.show_metrics import dimensions, excluded, families, interval, label, number, place, rank, shown
from jobs.show_table import Table, table

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One metric as a column: `key` is the dimension that makes the lines, `spread` one that makes more columns.

    In `title`, {} stands for the spread value. `bounds`: with its interval.
    """

    title: str
    name: str
    key: str
    where: Mapping[str, str] = field(default_factory=dict)
    spread: str = ""
    bounds: bool = False


@dataclass(frozen=True)
class Pivot:
    """Lines and columns of one table; `by`: a dimension with a table of its own for each value, {} in the title."""

    family: str
    title: str
    key: str  # heading of the lines
    columns: tuple[Column, ...]
    detail: bool = False  # only in that family's own report
    by: str = ""


_ALL = {"cohort": "all", "mode": "implied"}
PIVOTS = (
    Pivot("funnel", "Full funnel of those who became leads in {}", "level", (
        Column("volume", "level_volume", "level"),
        Column("of the level before", "level_step", "level"),
        Column("of all leads", "level_overall", "level"),
        Column("median days", "level_days", "level"),
        Column("amount, {}", "level_value", "level", spread="currency"),
        Column("won for each, {}", "level_worth", "level", spread="currency"),
    ), by="cohort"),
    Pivot("funnel", "Lead response: from lead to sales' first touch", "by", (
        Column("{}", "lead_response", "by", spread="quantile"),
        Column("within {}", "lead_response_within", "by", spread="within"),
    )),
    Pivot("funnel", "Visitors and leads by month", "month", (
        Column("visitors, {}", "visitors", "month", spread="account"),
        Column("leads ÷ visitors", "visitor_to_lead", "month"),
    )),
    Pivot("funnel", "Visitors and leads by channel", "channel", (
        Column("visitors", "visitors_by_channel", "channel"),
        Column("leads ÷ visitors", "visitor_to_lead", "channel"),
    )),
    Pivot("funnel", "Funnel: persons by milestone", "milestone", (
        Column("now here", "stage_count", "stage", {"basis": "current"}),
        Column("furthest here", "stage_count", "stage", {"basis": "furthest"}),
        Column("cohort reached", "reach", "to", _ALL),
        Column("of the step before", "step", "to", _ALL),
        Column("median days", "time_to_next", "to", {"quantile": "median"}),
    )),
    Pivot("funnel", "From step to step: within so many days, of those watched that long", "to", (
        Column("{} days", "reach_within", "to", spread="days"),
        Column("{} days, estimated from all", "reach_within_km", "to", spread="days"),
        Column("{} days, disqualified and lost ones competing", "reach_within_cif", "to", spread="days"),
    ), detail=True),
    Pivot("funnel", "Cohorts: of those who entered in the month, how many reached it until now", "month", (
        Column("watched, days", "cohort_age", "cohort"),
        Column("{}", "reach", "cohort", {"mode": "implied"}, spread="to"),
    ), detail=True),
    Pivot("funnel", "Entered in the month", "month", (Column("{}", "entered", "month", spread="stage"),), detail=True),
    Pivot("funnel", "Period ratio: entrants of the month over those of the step before (other persons)", "month", (
        Column("{}", "period_ratio", "month", spread="to"),
    ), detail=True),
    *(
        Pivot("breakdown", f"Funnel by {by}: of those who entered the first step", by, (
            Column("{}", "reach_by", "part", {"by": by}, spread="to"),
        ))
        for by in ("source", "owner", "campaign", "segment", "variant")
    ),
    Pivot("breakdown", "As HubSpot's funnel reports count, by month of creation", "created", (
        Column("all stages: {}", "hubspot_funnel", "created", {"stages": "all"}, spread="to"),
        Column("any: {}", "hubspot_funnel", "created", {"stages": "any"}, spread="to"),
    ), detail=True),
    Pivot("pipeline", "Pipeline: open deals by stage", "stage", (
        Column("open deals", "open_deals", "stage"),
        Column("amount, {}", "pipeline_value", "stage", spread="currency"),
        Column("weighted, {}", "weighted_pipeline", "stage", spread="currency"),
    )),
    Pivot("pipeline", "Days in the stage until the next", "milestone", (
        Column("{}", "time_in_stage", "stage", spread="quantile"),
    )),
    Pivot("pipeline", "Velocity: what a tenth better would add", "lever", (
        Column("{} a day", "velocity_lever", "lever", spread="currency"),
    )),
    Pivot("movement", "Where deals go from a stage, within days; the ends compete", "stage", (
        Column("{}", "stage_end", "stage", spread="what"),
        Column("median days", "days_in_stage", "stage"),
    )),
    Pivot("movement", "Moves: of the deals that were seen to move", "move", (Column("deals", "deal_moves", "move"),)),
    Pivot("movement", "Days until won, of the won", "quantile", (
        Column("from the deal's creation", "sales_cycle", "quantile"),
        Column("from the first lead", "lead_to_won", "quantile"),
    )),
    Pivot("movement", "Median days in the stage of open deals, against those of winners", "stage", (
        Column("÷ {} of winners", "stage_age_ratio", "stage", spread="against"),
    )),
    Pivot("movement", "Closed within days of creation, of all; won and lost compete", "days", (
        Column("{}", "closed_within", "days", spread="end"),
    ), detail=True),
    Pivot("movement", "Slippage: of the amount due in the period at its start", "period", (
        Column("slipped out of it", "slippage", "period"),
        Column("won in it", "due_won", "period"),
    )),
    Pivot("movement", "Pushed to a later period so often or more, of the open deals", "times", (Column("deals", "pushed", "times"),)),
    Pivot("movement", "Moves of open deals' close dates", "what", (Column("in all", "close_date_moves", "what"),), detail=True),
    Pivot("movement", "Age of open deals", "days", (
        Column("deals, {}", "age_deals", "days", spread="basis"),
        Column("amount, {}", "age_value", "days", spread="basis"),
    )),
    Pivot("winrate", "Win rate: won ÷ (won + lost), by close date", "closed in", (
        Column("by {}", "win_rate", "period", spread="by"),
        Column("won, {}", "won_value", "period", spread="currency"),
    )),
    Pivot("winrate", "Days from the close date until deals are put down as closed", "outcome", (
        Column("{}", "close_lag", "outcome", spread="quantile"),
        Column("more than 7 days", "closed_late", "outcome"),
    )),
    Pivot("winrate", "Win rate of deals created together: if no open one is won, expected, and if all are", "created in", (
        Column("{}", "cohort_win_rate", "created", spread="bound"),
    )),
    Pivot("winrate", "Win rate of deals that were ever in the stage", "milestone", (Column("won", "stage_win_rate", "stage"),)),
    Pivot("sources", "Sources", "source", (
        Column("persons", "source_persons", "source"),
        Column("→ opportunity", "source_to_opportunity", "source"),
        Column("→ won", "source_to_won", "source"),
        Column("won, {}", "source_won_value", "source", spread="currency"),
        Column("open, {}", "source_open_value", "source", spread="currency"),
    )),
    Pivot("forecast", "Forecast: still to be won, with this probability so much or less", "", (
        Column("{}", "forecast_band", "quantile", spread="horizon"),
        Column("{}", "forecast_held", "quantile", spread="horizon"),
    )),
    Pivot("forecast", "Forecast by method: still to be won", "method", (Column("{}", "forecast", "method", spread="horizon"),)),
    Pivot("forecast", "What the calibrated forecast is made of", "part", (Column("{}", "forecast_part", "part", spread="horizon"),)),
    Pivot("forecast", "Forecast by category: won, and open amounts due, down to", "category", (
        Column("{}", "forecast_category", "down_to", spread="horizon"),
    )),
    Pivot("forecast", "Single deals of more than 20 % of the forecast: they come whole or not at all", "deal", (
        Column("amount, {}", "forecast_large", "deal", spread="horizon"),
    )),
    Pivot("backtest", "Backtest: how often the 80 % band held", "windows", (Column("{}", "backtest_coverage", "kind", spread="method"),)),
    *(
        pivot
        for kind, said in (("period", "past periods, from three days of each"), ("days", "past spans of days"))
        for pivot in (
            Pivot("backtest", f"Backtest: scores over {said}", "method", (
                Column("{}", "backtest", "method", {"kind": kind}, spread="score"),
            )),
            Pivot("backtest", f"Backtest: single deals over {said}", "method", (
                Column("{}", "backtest_deals", "method", {"kind": kind}, spread="score"),
            ), detail=True),
            Pivot("backtest", f"Backtest: deals won by their probability, over {said}", "probability", (
                Column("{}", "reliability", "bin", {"kind": kind}, spread="what"),
            ), detail=True),
            Pivot("backtest", f"Backtest: what was said, and what came, over {said}", "window", (
                Column("{}", "backtest_window", "window", {"kind": kind}, spread="what"),
            ), detail=True),
        )
    ),
    Pivot("waterfall", "Waterfall of the open pipeline", "", (Column("{}", "waterfall", "bucket", spread="span"),)),
    Pivot("waterfall", "Deals open on both days", "moved", (Column("deals", "waterfall_moves", "move"),)),
    Pivot("attribution", "Won value by channel and model: credit, not causal lift", "channel", (
        Column("{}", "attributed_value", "channel", {"of": "won"}, spread="model"),
    )),
    Pivot("attribution", "Sourced by marketing, by three definitions", "definition", (
        Column("{} deals", "sourced_deals", "definition", spread="of"),
        Column("{} value", "sourced_value", "definition", spread="of"),
    )),
    Pivot("attribution", "Influenced: deals with a touch, at every channel that touched them", "channel", (
        Column("{} deals", "influenced_deals", "channel", spread="of"),
        Column("{} value", "influenced_value", "channel", spread="of"),
    )),
    Pivot("attribution", "Campaigns: what they cost, and what is credited to them", "campaign", (
        Column("cost, {}", "campaign_cost", "campaign", spread="currency"),
        Column("persons at {}", "attributed_persons", "campaign", spread="of"),
        Column("{} deals", "attributed_deals", "campaign", spread="of"),
        Column("{} value", "attributed_value", "campaign", spread="of"),
        Column("cost per {}", "cost_per", "campaign", spread="of"),
        Column("won ÷ cost", "campaign_return", "campaign"),
    )),
    Pivot("attribution", "Won deals by channel and model", "channel", (
        Column("{}", "attributed_deals", "channel", {"of": "won"}, spread="model"),
    ), detail=True),
    Pivot("attribution", "Open value by channel and model, for the deals' creation", "channel", (
        Column("{}", "attributed_value", "channel", {"of": "open"}, spread="model"),
    ), detail=True),
    Pivot("attribution", "Persons at {} by channel and model", "channel", (
        Column("{}", "attributed_persons", "channel", spread="model"),
    ), detail=True, by="of"),
    Pivot("attribution", "Removal effect: conversions lost without the channel", "channel", (
        Column("of {}", "removal_effect", "channel", spread="of"),
    ), detail=True),
    Pivot("retention", "Customers by age: of those watched so long", "months", (
        Column("still here", "retention", "month", {"cohort": "all", "mode": "classic"}),
        Column("bought in the month", "retention", "month", {"cohort": "all", "mode": "returned"}),
        Column("{}", "revenue_retention", "month", {"cohort": "all"}, spread="kind"),
        Column("estimated from all", "customers_kept", "month"),
    )),
    Pivot("retention", "Yearly value of those who were customers a year before", "year to", (
        Column("{}", "revenue_retention_year", "year_to", spread="kind"),
    )),
    Pivot("retention", "What became of it", "part", (Column("in the year to now", "revenue_moves", "part"),)),
    Pivot("retention", "Customers left after terms", "terms", (Column("{}", "customers_left", "terms", spread="basis"),)),
    Pivot("retention", "Still customers, by the month they were won and months since", "won in", (
        Column("{}", "retention", "cohort", {"mode": "classic"}, spread="month"),
    ), detail=True),
    Pivot("retention", "Won another deal, by the month they were won and months since", "won in", (
        Column("{}", "retention", "cohort", {"mode": "returned"}, spread="month"),
    ), detail=True),
    *(
        Pivot("retention", f"{kind} by the month they were won and months since", "won in", (
            Column("{}", "revenue_retention", "cohort", {"kind": kind}, spread="month"),
        ), detail=True)
        for kind in ("GRR", "NRR")
    ),
    Pivot("score", "Leads by band", "band", (
        Column("leads now", "score_band", "band"),
        Column("expected to become opportunities", "score_expected", "band"),
    )),
    Pivot("score", "How good: fitted on earlier leads, tried on later ones", "measure", (
        Column("{}", "score_quality", "measure", spread="method"),
    )),
    Pivot("score", "Later leads by tenths of the score, the best first", "tenth", (
        Column("{}: came", "score_tenth", "tenth", spread="method"),
        Column("{}: expected", "score_tenth_expected", "tenth", spread="method"),
        Column("{}: lift", "score_lift", "tenth", spread="method"),
    )),
    Pivot("score", "Of all who came, those among the best", "best", (Column("{}", "score_captured", "best", spread="method"),)),
    Pivot("next", "Next steps", "action", (
        Column("number", "follow_ups", "action"),
        Column("of {}", "follow_ups", "action", spread="state"),
    )),
    Pivot("experiments", "{}: what became of the visitors", "variant", (
        Column("visitors", "experiment_visitors", "variant"),
        Column("{}", "experiment_rate", "variant", spread="goal"),
        Column("{} per visitor", "experiment_mean", "variant", spread="goal"),
    ), by="experiment"),
    Pivot("experiments", "{}: effect on each goal", "goal", (
        Column("lift, {}", "experiment_lift", "goal", spread="variant", bounds=True),
        Column("at any time, {}", "experiment_lift_anytime", "goal", spread="variant", bounds=True),
        Column("p, {}", "experiment_p", "goal", spread="variant"),
        Column("p corrected, {}", "experiment_p_corrected", "goal", spread="variant"),
        Column("detectable, {}", "experiment_detectable", "goal", spread="variant"),
    ), by="experiment"),
    Pivot("experiments", "{}: further", "goal", (
        Column("difference, {}", "experiment_effect", "goal", spread="variant", bounds=True),
        Column("lift with visits before, {}", "experiment_lift_cuped", "goal", spread="variant", bounds=True),
        Column("visitors needed, {}", "experiment_visitors_needed", "goal", spread="variant"),
    ), detail=True, by="experiment"),
    Pivot("experiments", "{}: the tool's own numbers", "goal", (
        *[Column(f"{f}, {{}}", "experiment_vendor", "goal", {"figure": f}, spread="variant")
          for f in ("visitors", "conversions", "rate", "lift", "significance")],
        Column("ours: better, {}", "experiment_goal_chance", "goal", spread="variant"),
        Column("ours: loss, {}", "experiment_goal_loss", "goal", spread="variant"),
    ), detail=True, by="experiment"),
)  # fmt: skip


def tables(metrics: Iterable[Row], name: str | None = None, *, detail: bool | None = None, sparks: bool = False) -> list[Table]:
    """The tables of one family, or of all. detail None: the further tables only when one family is asked for.

    sparks: tables whose lines are months or quarters end with a sparkline of each column.

    Rows of a single metric are listed with their dimensions, as are metrics no table names.
    """
    rows = [(row, dimensions(row)) for row in metrics]
    if len({row["name"] for row, _ in rows}) == 1:
        return [_listed("", rows)]
    known = {column.name for pivot in PIVOTS for column in pivot.columns}
    made = []
    for one in families(name):
        mine = [(row, dims) for row, dims in rows if row["family"] == one]
        wanted = [p for p in PIVOTS if p.family == one and (not p.detail or (bool(name) if detail is None else detail))]
        made += [t for p in wanted for t in _pivots(p, mine, sparks)]
        rest = [(row, dims) for row, dims in mine if row["name"] not in known]
        made += [_listed("Single numbers", rest)] if rest else []
    return made


def further_tables(metrics: Iterable[Row], name: str) -> list[Table]:
    """The tables of a family that only its own report shows."""
    mine = [(row, dimensions(row)) for row in metrics if row["family"] == name]
    return [t for p in PIVOTS if p.family == name and p.detail for t in _pivots(p, mine)]


Opened = tuple[Row, dict[str, str]]


def _pivots(pivot: Pivot, rows: Sequence[Opened], sparks: bool = False) -> list[Table]:
    """The pivot's table, or one for each value of what it is `by`."""
    if not pivot.by:
        return [t] if (t := _pivot(pivot, rows, sparks)) is not None else []
    names = {column.name for column in pivot.columns}
    values = dict.fromkeys(dims[pivot.by] for row, dims in rows if row["name"] in names and pivot.by in dims)
    parts = [(value, [(row, dims) for row, dims in rows if dims.get(pivot.by) == value]) for value in values]
    return [t for value, part in parts if (t := _pivot(replace(pivot, title=pivot.title.format(place(value))), part)) is not None]


def _pivot(pivot: Pivot, rows: Sequence[Opened], sparks: bool = False) -> Table | None:
    """None where nothing of it was measured. Where two rows claim one cell the first stays."""
    cells: dict[str, dict[str, str]] = {}
    titles: dict[str, None] = {}
    values: dict[str, dict[str, float | None]] = {}  # of each column, by line
    under = _left_out(pivot, rows)
    notes = Footnotes(_shown(pivot, rows), under)
    for column in pivot.columns:
        mine = [
            (row, dims) for row, dims in rows if row["name"] == column.name and column.where.items() <= dims.items() and column.key in dims
        ]
        for spread in _spread(column, mine):
            titles[column.title.format(place(spread))] = None
        for row, dims in mine:
            title = column.title.format(place(dims.get(column.spread, "")))
            text = number(row["value"]) if column.spread == "currency" and row.get("value") is not None else shown(row)
            text += f" [{bounds}]" if column.bounds and (bounds := interval(row)) else ""
            text += notes.sign(row)
            cells.setdefault(dims[column.key], {}).setdefault(title, text)
            values.setdefault(title, {}).setdefault(dims[column.key], row.get("value"))
    if not cells:
        return None
    lines = [[place(key), *(cells[key].get(title, "") for title in titles)] for key in sorted(cells, key=rank)]
    if sparks and pivot.key in _CALENDAR:
        lines += _trend(list(titles), values, [key for key in sorted(cells) if key[:4].isdigit()])
    return table(
        [pivot.key, *titles],
        lines,
        numbers=list(titles),
        title=pivot.title,
        note=" ".join(filter(None, (_left_out(pivot, rows), notes.text()))),
    )


_CALENDAR = ("month", "closed in", "created in", "created", "period")  # headings of lines that are months or quarters


def _trend(titles: Sequence[str], values: Mapping[str, Mapping[str, float | None]], times: Sequence[str]) -> list[list[str]]:
    drawn = [blocks([values[title].get(time) for time in times]) for title in titles]
    return [["trend", *drawn]] if any(drawn) else []


def _shown(pivot: Pivot, rows: Sequence[Opened]) -> list[Row]:
    """The rows that make the table's numbers."""
    return [row for c in pivot.columns for row, dims in rows if row["name"] == c.name and c.where.items() <= dims.items() and c.key in dims]


def _left_out(pivot: Pivot, rows: Sequence[Opened]) -> str:
    """ "Not counted: no stage 3": what the table leaves out, where all its rows say the same; and how far to trust it."""
    left: dict[str, None] = {}
    trust: dict[str, None] = {}
    for column in pivot.columns:
        mine = [(dims, excluded(row)) for row, dims in rows if row["name"] == column.name and column.where.items() <= dims.items()]
        trust |= {f"Only {without['only']}.": None for _, without in mine if "only" in without}
        trust |= {f"Converted: {without['converted']}.": None for _, without in mine if "converted" in without}
        trust |= {f"{dims.get('horizon', '')}: {without['backtest']}.": None for dims, without in mine if "backtest" in without}
        if mine and all(without == mine[0][1] for _, without in mine):
            left |= {
                said(why, value): None for why, value in mine[0][1].items() if why not in (*TRUST, COUNTED_BY) and not why.startswith(ABOUT)
            }
            trust |= {
                f"{why.capitalize()}: {value}.": None
                for why, value in mine[0][1].items()
                if why in TRUST[1:] and why not in ("only", "converted")
            }
    return " ".join([*([f"Not counted: {', '.join(left)}."] if left else []), *trust])


def _spread(column: Column, rows: Sequence[Opened]) -> list[str]:
    """The spread values present, in the order of the ladder."""
    return sorted(dict.fromkeys(dims.get(column.spread, "") for _, dims in rows), key=rank)


def _listed(title: str, rows: Sequence[Opened]) -> Table:
    """One line per row: name, every dimension, value, interval, n."""
    columns = list(dict.fromkeys(d for _, dims in rows for d in dims if not _factor(dims[d])))
    lines = [
        [label(str(row["name"])), *(place(dims[d]) if d in dims else "" for d in columns), shown(row), interval(row), row.get("n")]
        for row, dims in rows
    ]
    heads = ["metric", *map(label, columns), "value", "95 % interval", "n"]
    return table(heads, lines, numbers=["value", "95 % interval", "n"], title=title, note=_made_of(rows))


def _factor(value: str) -> bool:
    """A number kept among the dimensions (what a velocity is made of) rather than a name."""
    return "." in value and value.replace(".", "", 1).lstrip("-").isdigit()


def _made_of(rows: Sequence[Opened]) -> str:
    """What metrics carry beside their value: the factors they are made of, and why one could not be computed."""
    notes = []
    for row, dims in rows:
        said = [f"{label(d)} {number(v)}" for d, v in dims.items() if _factor(v)]
        said += [str(why) for key, why in excluded(row).items() if key == "not computable"]
        notes += [f"{label(str(row['name']))}: {', '.join(said)}"] if said else []
    return "; ".join(dict.fromkeys(notes))
