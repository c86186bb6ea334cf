"""Which metrics stand side by side in one table, as data: `jobs.show_pivots` makes the tables, and lists what no table asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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
    Pivot("winrate", "Win rate of the last year by {}", "part", (
        Column("won", "win_rate_by", "part", bounds=True),
    ), by="by"),
    Pivot("winrate", "Why deals were lost", "reason", (Column("of the lost", "lost_reasons", "reason"),)),
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
        Column("leads", "attributed_persons", "campaign", {"of": "M20"}),
        Column("opps", "attributed_persons", "campaign", {"of": "M50"}),
        Column("an opp, {}", "cost_per", "campaign", {"of": "M50"}, spread="currency"),
        Column("open, {}", "attributed_value", "campaign", {"of": "open"}, spread="currency"),
        Column("won, {}", "attributed_value", "campaign", {"of": "won"}, spread="currency"),
        Column("won ÷ cost", "campaign_return", "campaign"),
    )),
    Pivot("attribution", "Campaigns: persons and deals credited to them, and what each cost", "campaign", (
        Column("persons at {}", "attributed_persons", "campaign", spread="of"),
        Column("{} deals", "attributed_deals", "campaign", spread="of"),
        Column("cost per {}", "cost_per", "campaign", spread="of"),
    ), detail=True),
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
    Pivot("score", "Leads by owner and band", "owner", (Column("{}", "score_owner", "owner", spread="band"),)),
    Pivot("score", "How good: fitted on earlier leads, tried on later ones", "measure", (
        Column("{}", "score_quality", "measure", spread="method"),
    )),
    Pivot("score", "Later leads by tenths of the score, the best first", "tenth", (
        Column("{}: came", "score_tenth", "tenth", spread="method"),
        Column("{}: expected", "score_tenth_expected", "tenth", spread="method"),
        Column("{}: lift", "score_lift", "tenth", spread="method"),
    )),
    Pivot("score", "Of all who came, those among the best", "best", (Column("{}", "score_captured", "best", spread="method"),)),
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
