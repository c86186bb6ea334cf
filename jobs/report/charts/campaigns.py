"""From campaign to pipeline: what each campaign cost, and what open and won amounts are credited to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.report.charts.chart import HALF, LETTER, Chart, Spec, label_limit, layered, legend_above, said, values
from jobs.report.charts.palette import light
from jobs.report.charts.rows import Data, Row, by, compact, rows
from jobs.show_metrics import number
from jobs.show_table import Table, table

CAMPAIGNS = 10
PARTS = (("spent", "grey"), ("pipeline", "blue"), ("won", "teal"))
LEAD, OPPORTUNITY = "M20", "M50"
PEOPLE = {LEAD: ("leads", "cost per lead"), OPPORTUNITY: ("opportunities", "cost per opportunity")}
Amounts = Mapping[str, Mapping[str, float]]  # by part, by campaign


def pipeline(data: Data) -> Chart | None:
    """Spent, open and won, campaign by campaign; those that cost most first."""
    cost = by(rows(data, "campaign_cost"), "campaign")
    credit = {"pipeline": "open", "won": "won"}
    amounts = {"spent": _amounts(cost)} | {
        part: _amounts(by(_of_campaigns(data, "attributed_value", of=of), "campaign")) for part, of in credit.items()
    }
    names = [
        name for name in dict.fromkeys(n for part in amounts.values() for n in part) if any(part.get(name) for part in amounts.values())
    ]
    names.sort(key=lambda name: (-amounts["spent"].get(name, 0.0), -amounts["pipeline"].get(name, 0.0) - amounts["won"].get(name, 0.0)))
    if not amounts["spent"] or not names:
        return None
    currency = str(next(iter(cost.values()))["dimensions"].get("currency") or "")
    shown = names[:CAMPAIGNS]
    return Chart(
        f"From campaign to pipeline, {currency}", _reading(data, amounts, cost, currency), _table(data, names, amounts, currency),
        lambda width: _drawn(width, shown, amounts), wide=True,
    )  # fmt: skip


def _of_campaigns(data: Data, name: str, **where: str) -> list[Row]:
    return [row for row in rows(data, name, **where) if "campaign" in row["dimensions"]]


def _amounts(found: Mapping[str, Row]) -> dict[str, float]:
    return {name: float(row["value"]) for name, row in found.items() if name != "all" and row["value"]}


def _reading(data: Data, amounts: Amounts, cost: Mapping[str, Row], currency: str) -> str:
    paid = amounts["spent"]
    spent = f"{compact(sum(paid.values()))} {currency} was spent on {number(len(paid))} campaigns."
    whole = next((row for row in rows(data, "campaign_return", campaign="all") if row["value"] is not None), None)
    back = f" {compact(float(whole['numerator']))} of won value is credited to them: {_times(whole)} what they cost." if whole else ""
    each = {row["dimensions"]["campaign"]: float(row["value"]) for row in rows(data, "cost_per", of=OPPORTUNITY) if row["value"]}
    each.pop("all", None)
    cheap = min(each, key=lambda name: each[name], default="")
    best = f" An opportunity cost least by {cheap}: {compact(each[cheap])} {currency}." if cheap else ""
    return f"{spent}{back}{best} Credit is not causal lift, and what was spent lately has not had its time."


def _table(data: Data, names: Sequence[str], amounts: Amounts, currency: str) -> Table:
    people, each = (by(_of_campaigns(data, name), "campaign", "of") for name in ("attributed_persons", "cost_per"))
    back = by(rows(data, "campaign_return"), "campaign")
    heads = (f"spent, {currency}", *(head for pair in PEOPLE.values() for head in pair), "pipeline", "won", "won ÷ spent")
    lists = [
        [
            name, _number(amounts["spent"].get(name)),
            *(text for code in PEOPLE for text in (_value(people.get((name, code))), _value(each.get((name, code))))),
            *(_number(amounts[of].get(name)) for of in ("pipeline", "won")), _times(back.get(name)),
        ]
        for name in names
    ]  # fmt: skip
    return table(("campaign", *heads), lists, numbers=heads)


def _number(value: float | None) -> str:
    return "" if value is None else number(round(value, 2))


def _value(row: Row | None) -> str:
    return "" if row is None or row["value"] is None else number(round(float(row["value"]), 2))


def _times(row: Row | None) -> str:
    return "" if row is None or row["value"] is None else f"{float(row['value']):.1f} ×"


def _drawn(width: int, names: Sequence[str], amounts: Amounts) -> Spec:
    """Three bars a campaign, each with its amount behind it."""
    data: list[dict[str, Any]] = [
        {"campaign": name, "part": part, "size": amounts[part].get(name, 0.0), "text": compact(amounts[part].get(name, 0.0)),
         "colour": light(colour), "said": f"{name}, {part}: {number(round(amounts[part].get(name, 0.0), 2))}"}
        for name in names
        for part, colour in PARTS
    ]  # fmt: skip
    left = min(width * (0.38 if width < HALF else 0.25), max(map(len, names)) * LETTER + 14)
    most = max(row["size"] for row in data)
    y = {"field": "campaign", "type": "ordinal", "sort": list(names), "title": None, "scale": {"paddingInner": 0.3},
         "axis": {"domain": False, "ticks": False, "labelColor": light("ink"), "labelPadding": 8, "labelLimit": label_limit(left),
                  "minExtent": round(left)}}  # fmt: skip
    room = 1 + 9 * LETTER / max(60.0, width - left)
    x = {"field": "size", "type": "quantitative", "axis": None, "scale": {"domain": [0, most * room], "nice": False}}
    beside = {"field": "part", "type": "nominal", "sort": [part for part, _ in PARTS]}
    legend = legend_above(symbolType="square")
    colour = {"field": "part", "type": "nominal", "legend": legend,
              "scale": {"domain": [part for part, _ in PARTS], "range": [light(name) for _, name in PARTS]}}  # fmt: skip
    layers: list[Spec] = [
        {"mark": {"type": "bar"}, "encoding": {"y": y, "yOffset": beside, "x": x, "color": colour, "description": said()}},
        {"mark": {"type": "text", "align": "left", "dx": 5, "fontSize": 11},
         "encoding": {"y": y, "yOffset": beside, "x": x, "text": {"field": "text"}}},
    ]  # fmt: skip
    return layered(width, 56 * len(names), layers, data=values([row for row in data if row["size"]]))
