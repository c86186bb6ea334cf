"""What a report draws, section by section: one entry makes a view. To add one, write its function and name it here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.report.charts import (
    agreement,
    attribution,
    backtest,
    campaigns,
    cohorts,
    durations,
    experiments,
    findings,
    flow,
    forecast,
    funnel,
    leads,
    losses,
    movement,
    pipeline,
    retention,
    sources,
    waterfall,
    wins,
)
from jobs.report.charts.chart import Chart
from jobs.report.charts.rows import why_not
from jobs.show_metrics import FEW


@dataclass(frozen=True)
class View:
    """`section` is the key of the report's section it stands in; `needs` says what must be there before it can be drawn."""

    section: str
    title: str
    draw: Callable[[Mapping[str, Any]], Chart | None]
    needs: str


VIEWS: tuple[View, ...] = (
    View("funnel", "From visitor to retained", funnel.from_visitors, "web analytics' counts of users, and leads in the same months"),
    View("funnel", "How far the cohorts got", funnel.reach, "persons with a dated first step of the funnel"),
    View("funnel", "Cohorts by month of entry", cohorts.cohorts, "persons who entered the funnel in two different months"),
    View("funnel", "Where people stand now", funnel.standing, "persons at two milestones or more"),
    View("funnel", "How long a step takes", durations.steps, "persons who took a step of the funnel"),
    View("breakdown", "How far each source's leads got", funnel.by_source, f"two sources with {FEW} leads each"),
    View("breakdown", "How far each owner's leads got", funnel.by_owner, f"two owners with {FEW} leads each"),
    View("pipeline", "Open pipeline by stage", pipeline.by_stage, "an open deal"),
    View("pipeline", "Age of open deals", pipeline.ages, "an open deal"),
    View("pipeline", "Is the pipeline enough", pipeline.coverage, "a target that is not met yet (target in funnel.yaml)"),
    View("movement", "Where deals go from a stage", movement.stage_ends, "deals with a dated stage"),
    View("movement", "What became of the amounts due", movement.slippage, "a period that began with amounts due in it"),
    View("movement", "How often close dates were put off", movement.pushes, "an open deal"),
    View("winrate", "Win rate by quarter", wins.win_rate, "deals closed in two different quarters"),
    View("winrate", "Win rate by stage reached", wins.stage_win_rates, "closed deals that were seen in two stages"),
    View("winrate", "Win rate by owner", losses.by_owner, "closed deals of two owners"),
    View("winrate", "Win rate by source", losses.by_source, "closed deals of two sources"),
    View("winrate", "Win rate by segment", losses.by_segment, "closed deals of companies of two industries"),
    View("winrate", "Win rate by size of company", losses.by_size, "closed deals of companies of two sizes"),
    View("winrate", "Why deals were lost", losses.reasons, "deals lost for two reasons"),
    View("sources", "From source to outcome", flow.source_to_outcome, "persons of two sources"),
    View("sources", "Won by source", sources.won_value, "won deals of two sources"),
    View("sources", "Open by source", sources.open_value, "open deals of two sources"),
    View("attribution", "Won value by channel", attribution.comparison, "won deals with touches of two channels"),
    View("attribution", "Each model's split", attribution.split, "won deals with touches of two channels"),
    View(
        "attribution", "From campaign to pipeline", campaigns.pipeline, "a campaign whose cost is known, and won or open deals it touched"
    ),
    View("experiments", "Lift on every goal", experiments.forest, "an experiment whose variants were watched long enough to compare"),
    View("forecast", "Won by period, and what was and is forecast", forecast.history, "won and lost deals, and an open one"),
    View("forecast", "Still to be won from now on", forecast.fan, "won and lost deals, and an open one"),
    View("forecast", "The period by every yardstick", forecast.yardsticks, "won and lost deals, and an open one"),
    View("backtest", "Which method came nearest", backtest.accuracy, "a past window after 20 closed deals"),
    View("backtest", "Were the chances right", backtest.reliability, "a past window after 20 closed deals"),
    View("waterfall", "What moved the pipeline", waterfall.waterfall, "open deals on one of the two days"),
    View("retention", "Still customers", retention.cohorts, "customers won in two different months, the earlier ones a month ago"),
    View("retention", "What is left", retention.by_age, "customers won two months ago or earlier"),
    View("retention", "Value retained over the year", retention.by_year, "customers who were there a year ago, and a quarter before that"),
    View("score", "Leads by band", leads.bands, "a lead that is no opportunity yet"),
    View("next", "What to do next", leads.steps, "a lead or a deal for which a rule of docs/follow-up.md holds"),
    View("findings", "Open findings by rule", findings.by_rule, "open findings of two rules"),
    View("findings", "Open findings by day", findings.trend, "reconcile runs on two different days"),
    View("agreement", "How far the systems agree", agreement.matrix, "two accounts that both know an entity"),
)


@dataclass(frozen=True)
class Shown:
    """A section's charts, the views that could not be drawn, and why not."""

    charts: tuple[Chart, ...] = ()
    missing: tuple[View, ...] = ()
    why: str = ""  # in the metrics' own words


def shown(data: Mapping[str, Any], sections: Iterable[str]) -> dict[str, Shown]:
    """By section, in the order of VIEWS. data: as `jobs.report.content.selected` gives it."""
    out: dict[str, Shown] = {}
    for section in sections:
        made = [(view, view.draw(data)) for view in VIEWS if view.section == section]
        charts = tuple(chart for _, chart in made if chart is not None)
        missing = tuple(view for view, chart in made if chart is None)
        why = why_not([row for row in data.get("metrics", ()) if row["family"] == section]) if missing else ""
        out[section] = Shown(charts, missing, why)
    return out
