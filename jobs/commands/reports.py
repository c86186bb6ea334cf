"""report and explain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from core.thresholds import ATTRIBUTION_MODELS
from jobs.instants import Instant
from jobs.outputs import Output, output_options, place

MEASURED = ("funnel", "pipeline", "winrate", "forecast", "waterfall", "sources", "attribution", "experiments", "retention", "score", "next")
FORMATS = ("table", "json", "csv", "md", "html", "xlsx", "png")
DRAWN = ("html", "png", "xlsx")
_ONLY = "Numbers of this part only: source, owner, segment (industry), campaign, variant or pipeline (repeatable)."
NAMES = ("all", *MEASURED, "quality", "findings", "records", "plan", "restatements")


@click.command()
@click.argument("name", type=click.Choice(NAMES), default="all")
@click.option("--as-of", type=Instant(), help="What was known then (UTC).")
@click.option("--backtest", is_flag=True, help="forecast: also how past forecasts would have done, method by method.")
@click.option("--from", "since", type=Instant(), help="waterfall: the first day (UTC); by default the start of the period.")
@click.option("--to", "until", type=Instant(), help="waterfall: the last day; by default now.")
@click.option("--model", type=click.Choice([*ATTRIBUTION_MODELS, "markov"]), help="Of attribution: this model's credits only.")
@click.option("--owner", help="Of next: this owner's steps only.")
@click.option("--only", "parts", multiple=True, metavar="NAME=VALUE", help=_ONLY)
@click.option("--format", "format_", type=click.Choice(FORMATS), help="By default a table, or what the file's name ends with.")
@click.option("--output", "--out", "-o", type=click.Path(dir_okay=False), help="Write to this file.")
@click.option("--json", "as_json", is_flag=True, help="Same as --format json.")
@click.pass_obj
def report(
    obj: dict[str, Any], name: str, as_of: datetime | None, backtest: bool, since: datetime | None, until: datetime | None,
    model: str | None, owner: str | None, parts: tuple[str, ...], format_: str | None, output: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Print a report.

    \b
    Examples:
      tundish report funnel
      tundish report all --output report.html
      tundish report funnel --format png --out funnel.png
      tundish report sources --format xlsx --out sources.xlsx
      tundish report forecast --backtest
      tundish report waterfall --from 2026-04-01 --to 2026-06-01
      tundish report pipeline --as-of 2026-06-01 --format csv
      tundish report attribution --model w
      tundish report retention
      tundish report funnel --only source=web
      tundish report pipeline --only owner=ada@example.com --only segment=software
      tundish report score
      tundish report next --owner ada@example.com
      tundish report quality
      tundish report restatements
    """
    from core.errors import UserError
    from jobs.report import BINARY, render, render_file
    from jobs.reporting import report_data
    from jobs.steps import run_measure, run_reconcile
    from jobs.wiring import open_hub

    form = "json" if as_json else format_ or _ending(output)
    _suited(name, backtest=backtest, model=model, owner=owner)
    place(output or "")
    if form in BINARY and not output:
        raise UserError(f"{form} is no text", next_step=f"name a file: --output {name}.{form}")
    with open_hub(obj["config"]) as hub:
        if name == "restatements":
            made: str | bytes = _restatements(hub, as_of, form)
        else:
            found = run_reconcile(hub, as_of=as_of)
            wanted = _wanted(name, drawn=form in DRAWN, backtest=backtest)
            metrics = _of_model(
                run_measure(hub, found, wanted, span=_span(name, since, until, found.as_of), only=_pairs("--only", parts)), model
            )
            metrics = _of_owner(metrics, owner)
            data = report_data(hub, found, metrics, as_of, name)
            made = _table(data, name) if form == "table" else render_file(data, form, name) if output else render(data, form, name)
    if output:
        Path(output).write_bytes(made if isinstance(made, bytes) else made.encode())
        click.echo(f"wrote {output}")
    else:
        click.echo(made)
    return 0


def _suited(name: str, *, backtest: bool, model: str | None, owner: str | None) -> None:
    """Raises: UserError for an option of another report, which would change nothing."""
    from core.errors import UserError

    for option, given, of in (("--backtest", backtest, "forecast"), ("--model", model, "attribution"), ("--owner", owner, "next")):
        if given and name not in (of, "all"):
            part = f"; numbers of one owner: --only owner={owner}" if option == "--owner" else ""
            raise UserError(f"{option} is for the report {of}, not {name}", next_step=f"see tundish report {of}{part}")


def _pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE as often as it was given. Raises: UserError for anything else."""
    from core.errors import UserError

    if wrong := [one for one in given if "=" not in one]:
        example = "currency=EUR" if option == "--dim" else "source=web"
        raise UserError(f"{option} {wrong[0]}: not NAME=VALUE", next_step=f"for example {option} {example}")
    return dict(one.split("=", 1) for one in given)


def _ending(output: str | None) -> str:
    """The format a file's name asks for."""
    ending = Path(output or "").suffix.removeprefix(".").lower()
    return ending if ending in FORMATS else "table"


def _wanted(name: str, *, drawn: bool, backtest: bool) -> tuple[str, ...]:
    """The families to measure. A forecast in pictures stands beside what was won, and how past ones did."""
    from jobs.show_metrics import families

    if name not in ("all", *MEASURED):
        return ()
    found = families(None if name == "all" else name)
    if name != "forecast" or drawn:
        return found
    return tuple(f for f in found if f == "forecast" or (f == "backtest" and backtest))


def _span(name: str, since: datetime | None, until: datetime | None, now: datetime) -> tuple[datetime, datetime] | None:
    """The two instants of a waterfall; None: the usual ones. Raises: UserError for a span that is none."""
    from core.errors import UserError
    from core.measure.windows import bounds

    if since is None and until is None:
        return None
    if name not in ("waterfall", "all"):
        raise UserError("--from and --to are for the waterfall", next_step="tundish report waterfall --from DAY --to DAY")
    last = until or now
    first = since or bounds(last.date(), "quarter")[1]
    if not first < last <= now:
        raise UserError(f"no span from {first:%Y-%m-%d} to {last:%Y-%m-%d}", next_step="give two days that are over, the earlier one first")
    return first, last


def _of_model(metrics: Sequence[Mapping[str, Any]], model: str | None) -> Sequence[Mapping[str, Any]]:
    """Without other models' credits."""
    from jobs.show_metrics import dimensions

    return metrics if model is None else [row for row in metrics if dimensions(row).get("model", model) == model]


def _of_owner(metrics: Sequence[Mapping[str, Any]], owner: str | None) -> Sequence[Mapping[str, Any]]:
    """Of next steps only this owner's, without what counts everybody's. Raises: UserError where he has none."""
    from core.errors import UserError
    from core.yaml_positions import did_you_mean
    from jobs.show_metrics import dimensions

    if owner is None:
        return metrics
    owners = {str(dimensions(row).get("owner", "")) for row in metrics if row["name"] == "follow_up"}
    wanted = owner.strip().lower()
    if wanted not in {name.lower() for name in owners}:
        some = ", ".join(sorted(owners)[:5]) or "nobody"
        raise UserError(f"no next step is {owner!r}'s{did_you_mean(owner, owners)}", next_step=f"who has some: {some}")
    others = [row for row in metrics if row["name"] not in ("follow_up", "follow_ups")]
    mine = [row for row in metrics if row["name"] == "follow_up" and dimensions(row).get("owner", "").lower() == wanted]
    return [*others, *mine]


def _restatements(hub: Any, as_of: datetime | None, format_: str) -> str:
    """What counts were changed by their vendor after they were read. Raises: UserError for a format it has not."""
    import csv
    import io
    import json

    from core.errors import UserError
    from core.restated import restatements
    from jobs import show

    if format_ not in ("table", "json", "csv"):
        raise UserError(f"restatements are not written as {format_}", next_step="use --format table, json or csv")
    found = restatements(hub.lake, as_of)
    rows = [list(row.values()) for row in found.to_pylist()]
    if format_ == "json":
        return json.dumps({"restatements": [dict(zip(found.column_names, row, strict=True)) for row in rows]}, default=str, indent=1)
    if format_ == "csv":
        text = io.StringIO()
        csv.writer(text).writerows([found.column_names, *rows])
        return text.getvalue().rstrip()
    return show.table_text(found.column_names, rows) if rows else "no count was changed after it was first read"


def _table(data: dict[str, Any], name: str) -> str:
    from jobs import show, show_ageing, show_findings, show_plan, show_quality, show_sync, show_table
    from jobs.report.content import selected
    from jobs.report.overview import overview_table

    fresh, without = show_quality.fresh_text(data["freshness"]), show_quality.left_out_text(data["left_out"])
    parts = [f"as of {data['as_of'][:16].replace('T', ' ')} UTC; complete data from {fresh}; in no number: {without}"]
    if name in ("all", "records"):
        parts.append(show.records_text(data["records"]) if data["records"] else "nothing was read yet; begin with: tundish sync")
        parts += [show_table.text(show_sync.exchange_table(data["sync"]))] if data["sync"] else []
    if name in ("all", *MEASURED):
        chosen = selected(data, name)
        short = overview_table(chosen)
        parts += [show_table.text(short)] if short is not None else []
        parts.append(show.metrics_text(chosen["metrics"], None if name == "all" else name))
    if name in ("all", "quality"):
        missing = show_quality.missing_table(data["metrics"])
        parts += [show_table.text(missing)] if missing is not None else []
        parts.append(show_quality.quality_text(data["quality"]))
        parts += [show_table.text(show_quality.stages_table(data["stages"]))] if data["stages"] else []
    if name in ("all", "findings"):
        parts.append(show.findings_text(data["findings"], 50, data.get("silence", "")))
        parts += show_findings.said_texts(data["findings"], data["set_aside"])
        parts += show_ageing.texts(data, 20)
        parts += [show_table.text(show_sync.agreement_table(data["agreement"]))] if data["agreement"] else []
    if name in ("all", "plan") and data["plan"]:
        parts.append(show_plan.page_text(data["plan"], 25))
    return "\n\n".join(parts)


@click.command()
@click.argument("what", metavar="FINDING|ENTITY|RECORD|METRIC")
@click.option("--dim", "dims", multiple=True, metavar="NAME=VALUE", help="A metric's dimension (repeatable).")
@click.option("--only", "parts", multiple=True, metavar="NAME=VALUE", help=_ONLY)
@click.option("--to", "other", metavar="ENTITY|RECORD", help="Why the two are one, step by step, or why they are not.")
@click.option("--max", "limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many rows.")
@output_options(("table", "json", "html"))
@click.pass_obj
def explain(
    obj: dict[str, Any], what: str, dims: tuple[str, ...], parts: tuple[str, ...], other: str | None, limit: int, output: Output
) -> int:
    """Show the rows behind a finding, an entity, a vendor record or a metric.

    \b
    Examples:
      tundish explain 53a8ecc1          a finding, by its id or the first 8 characters
      tundish explain per_1f0c9a
      tundish explain per_1f0c9a --format html --output way.html
      tundish explain hubspot:contacts:151
      tundish explain hubspot:contacts:151 --to salesforce:Contact:0031
      tundish explain win_rate
      tundish explain retention --dim cohort=all --dim month=12 --dim mode=classic
    """
    from core.lake_findings import is_finding_id
    from jobs.explain import explain_entity, explain_metric
    from jobs.explain_finding import explain_finding
    from jobs.explain_path import explain_path
    from jobs.report.journey import to_page
    from jobs.steps import measured_until, run_reconcile
    from jobs.wiring import open_hub

    asked, only = _pairs("--dim", dims), _pairs("--only", parts)
    with open_hub(obj["config"]) as hub:
        if is_finding_id(what) and not other:
            _answer(output, *explain_finding(hub, what, limit))
            return 0
        found = run_reconcile(hub)
        if other:
            data, text = explain_path(hub, found, what, other)
        elif what[:4] in ("per_", "com_", "dea_") or what.count(":") >= 2:
            data, text = explain_entity(hub, found, what, limit)
            if output.format == "html":
                output.write(to_page(hub.config.organisation.name, found.as_of.isoformat(), data))
                return 0
        else:
            data, text = explain_metric(found, measured_until(hub, found, what, only), what, asked, limit, hub.setup.funnel, only)
        _answer(output, data, text)
        return 0


def _answer(output: Output, data: Mapping[str, Any], text: str) -> None:
    if output.format == "html":
        from core.errors import UserError

        raise UserError("only the way of a person, a company or a deal is drawn", next_step="give an entity or one of its records")
    if output.format == "json":
        output.write_json(data)
    else:
        output.write(text)
