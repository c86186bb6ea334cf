"""What will be won: past periods with what had been said of them, the fan from now on, and every other yardstick beside it."""

from __future__ import annotations

from datetime import date
from typing import Any

from jobs.report.charts.chart import HALF, Bar, Chart, Spec, axis, bars, layered, own_colour, said, values
from jobs.report.charts.chart import days as day_axis
from jobs.report.charts.palette import light
from jobs.report.charts.rows import Data, by, compact, months, rows
from jobs.show_metrics import number
from jobs.show_table import table

PERIODS = 8
BAND = ("P10", "P50", "P90")
_NOTE = "P10 to P90 were said at the period's start; of the one that runs they are said now. Past periods count deals by their close date."
METHODS = {
    "calibrated": "calibrated", "stage_historical": "rates of the stages", "crm_weighted": "CRM's probabilities",
    "last_year": "as a year ago", "last_period": "as the last period",
}  # fmt: skip
CATEGORIES = {"commit": "commit and better", "best_case": "best case and better", "pipeline": "all that is due"}


def history(data: Data) -> Chart | None:
    """Won by period, with the band that had been said at its start; and the band of the period that runs."""
    now = _horizon(data)
    if now is None:
        return None
    dims, currency, band, sofar = now
    won = by([row for row in rows(data, "won_value") if row["dimensions"].get("currency") == currency], "period")
    past = {q: float(won[q]["value"] or 0) for q in months(won, PERIODS + 1) if q != dims["horizon"]}
    tried = _tried(data)
    lines = [_period(name, amount, tried.get(name)) for name, amount in list(past.items())[-PERIODS:]]
    if not lines:
        return None
    lines.append({"period": dims["horizon"], "won": sofar, **{q: sofar + band[q] for q in BAND}, "coming": True})
    held = [line for line in lines if "P10" in line and not line.get("coming")]
    inside = sum(1 for line in held if line["P10"] <= line["won"] <= line["P90"])
    kept = f" Of {len(held)} past periods with a band, {inside} ended within it." if held else _untried(data)
    reading = (
        f"{dims['horizon']}: {compact(sofar)} {currency} put down as won so far, whatever the close date; "
        f"with 80 % probability it ends between {compact(sofar + band['P10'])} and {compact(sofar + band['P90'])} {currency}, "
        f"as likely as not above {compact(sofar + band['P50'])}.{kept}"
    )
    heads = ("won", *BAND)
    lists = [[line["period"], *(number(line[name]) if name in line else "" for name in heads)] for line in lines]
    made = table(("period", *heads), lists, numbers=heads, note=_NOTE)
    return Chart(
        f"Won by period, and what was and is forecast, {currency}",
        reading,
        made,
        lambda width: _history(width, lines if width >= HALF else lines[-6:]),
        wide=True,
    )


def _horizon(data: Data) -> tuple[dict[str, str], str, dict[str, float], float] | None:
    """The period that runs: its dimensions, currency, the band still to be won, and what is won so far."""
    for row in rows(data, "forecast_band", quantile="P10"):
        dims = row["dimensions"]
        if dims["horizon"][:4].isdigit():
            band = {q: r["value"] for q, r in by(rows(data, "forecast_band", horizon=dims["horizon"]), "quantile").items()}
            sofar = [r["value"] for r in rows(data, "forecast_part", horizon=dims["horizon"], part="won so far")]
            if all(band.get(q) is not None for q in BAND):
                return dims, str(row["unit"]), {q: float(band[q]) for q in BAND}, float(sofar[0] or 0) if sofar else 0.0
    return None


def _tried(data: Data) -> dict[str, dict[str, float]]:
    """What was said and what came, by period: of its earliest instant. Windows are called "2026-Q1 on 2026-01-01"."""
    found = by(rows(data, "backtest_window", kind="period"), "window", "what")
    first: dict[str, str] = {}
    for window, _ in found:
        period, _, day = window.partition(" on ")
        first[period] = min(first.get(period, day), day)
    return {
        period: {what: float(found[key]["value"]) for what in (*BAND, "won") if (key := (f"{period} on {day}", what)) in found}
        for period, day in first.items()
    }


def _period(name: str, amount: float, tried: dict[str, float] | None) -> dict[str, Any]:
    """The band is of what came after the instant: what was won by then is added to it."""
    before = max(0.0, amount - tried["won"]) if tried else 0.0
    return {"period": name, "won": amount, **({q: before + tried[q] for q in BAND} if tried else {})}


def _untried(data: Data) -> str:
    why = next((r["excluded"] for r in rows(data, "backtest_coverage", kind="period")), None)
    return " No past forecast could be tried yet." if why else ""


def _history(width: int, lines: list[dict[str, Any]]) -> Spec:
    x = {"field": "period", "type": "ordinal", "title": None, "scale": {"paddingInner": 0.4},
         "axis": {"labelAngle": 0 if width / len(lines) > 60 else -45, "ticks": False}}  # fmt: skip
    y = {"type": "quantitative", "title": None, "axis": axis()}
    won = [
        {"period": i["period"], "to": i["won"], "colour": light("teal"), "said": f"{i['period']}: {number(i['won'])} won"} for i in lines
    ]
    bands = [
        {"period": i["period"], "low": i["P10"], "high": i["P90"], "middle": i["P50"],
         "colour": light("blue" if i.get("coming") else "soft"),
         "said": f"{i['period']}, forecast: P10 {number(i['P10'])}, P50 {number(i['P50'])}, P90 {number(i['P90'])}"}
        for i in lines if "P10" in i
    ]  # fmt: skip
    texts = [{"period": i["period"], "at": max(i["won"], i.get("P90", 0)), "text": _beside(i)} for i in lines]
    layers: list[Spec] = [
        {"data": values(won), "mark": {"type": "bar", "opacity": 0.85},
         "encoding": {"x": x, "y": {**y, "field": "to"}, "color": own_colour(), "description": said()}},
        {"data": values(bands), "mark": {"type": "bar", "width": {"band": 0.35}, "opacity": 0.35},
         "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": own_colour(), "description": said()}},
        {"data": values(bands), "mark": {"type": "tick", "thickness": 3, "width": {"band": 0.5}},
         "encoding": {"x": x, "y": {**y, "field": "middle"}, "color": own_colour()}},
        {"data": values(texts), "mark": {"type": "text", "baseline": "bottom", "dy": -4},
         "encoding": {"x": x, "y": {**y, "field": "at"}, "text": {"field": "text"}}},
    ]  # fmt: skip
    return layered(width, 240, [layer for layer in layers if layer["data"]["values"]])


def _beside(line: dict[str, Any]) -> str:
    return f"P50 {compact(line['P50'])}" if line.get("coming") else compact(line["won"])


def fan(data: Data) -> Chart | None:
    """What is still to be won from now on, by the days the forecast is made for: a fan from nothing to P10, P50 and P90."""
    found = by(rows(data, "forecast_band"), "horizon", "quantile")
    untils = {h: str(row["dimensions"]["until"]) for (h, _), row in found.items()}
    today = str(data["as_of"])[:10]
    ends = [
        {"day": untils[h], "horizon": h, **{q: float(found[h, q]["value"]) for q in BAND}}
        for h in sorted(untils, key=lambda h: untils[h])
        if untils[h] > today and all(found.get((h, q)) is not None and found[h, q]["value"] is not None for q in BAND)
    ]
    if not ends:
        return None
    currency = str(next(iter(found.values()))["unit"])
    points: list[dict[str, Any]] = [{"day": today, "horizon": "now", **dict.fromkeys(BAND, 0.0)}, *ends]
    last = ends[-1]
    reading = (
        f"From now until {last['day']} ({last['horizon']}) {compact(last['P50'])} {currency} or more will be won as likely as not; "
        f"{compact(last['P10'])} or more with 90 %, {compact(last['P90'])} or more with 10 % probability."
    )
    lists = [[end["horizon"], end["day"], *(number(end[q]) for q in BAND)] for end in ends]
    made = table(("horizon", "until", *BAND), lists, numbers=BAND)
    return Chart(f"Still to be won from now on, {currency}", reading, made, lambda width: _fan(width, points))


def _fan(width: int, points: list[dict[str, Any]]) -> Spec:
    days = (date.fromisoformat(points[-1]["day"]) - date.fromisoformat(points[0]["day"])).days
    x = {"field": "day", "type": "temporal", "title": None, "axis": day_axis(width),
         "scale": {"domain": [points[0]["day"], points[-1]["day"]]}}  # fmt: skip
    y = {"type": "quantitative", "title": None, "axis": axis()}
    rows_ = [{**p, "colour": light("blue"), "said": f"{p['horizon']} ({days} days)"} for p in points]
    ends = [{"day": points[-1]["day"], "at": points[-1][q], "text": f"{q} {compact(points[-1][q])}"} for q in BAND]
    edge = [{"day": p["day"], "at": p[q], "edge": q, "colour": light("blue")} for p in points for q in BAND]
    layers: list[Spec] = [
        {"data": values(rows_), "mark": {"type": "area", "opacity": 0.22, "color": light("blue")},
         "encoding": {"x": x, "y": {**y, "field": "P10"}, "y2": {"field": "P90"}}},
        {"data": values(edge), "mark": {"type": "line", "strokeWidth": 1.5, "opacity": 0.8},
         "encoding": {"x": x, "y": {**y, "field": "at"}, "detail": {"field": "edge", "type": "nominal"}, "color": own_colour()}},
        {"data": values(rows_), "mark": {"type": "line", "strokeWidth": 3, "color": light("blue")},
         "encoding": {"x": x, "y": {**y, "field": "P50"}}},
        {"data": values(rows_[1:]), "mark": {"type": "point", "filled": True, "size": 60, "color": light("blue"), "opacity": 1},
         "encoding": {"x": x, "y": {**y, "field": "P50"}, "description": said()}},
        {"data": values(ends), "mark": {"type": "text", "align": "right", "dx": -8, "dy": -7},
         "encoding": {"x": x, "y": {**y, "field": "at"}, "text": {"field": "text"}}},
    ]  # fmt: skip
    return layered(width, 230, layers)


def yardsticks(data: Data) -> Chart | None:
    """The period that runs by every method and by the categories people give, won so far included in all."""
    now = _horizon(data)
    if now is None:
        return None
    dims, currency, band, sofar = now
    horizon = dims["horizon"]
    lines = [Bar(f"forecast {q}", sofar + band[q], compact(sofar + band[q])) for q in BAND]
    for method, row in by(rows(data, "forecast", horizon=horizon), "method").items():
        if row["value"] is not None and method != "calibrated":
            total = sofar + float(row["value"])
            lines.append(Bar(METHODS.get(method, method), total, compact(total), colour="grey"))
    for category, row in by(rows(data, "forecast_category", horizon=horizon), "down_to").items():
        if row["value"] is not None and category in CATEGORIES:
            lines.append(Bar(CATEGORIES[category], float(row["value"]), compact(float(row["value"])), colour="purple"))
    lines += [Bar("target", float(row["denominator"]) + sofar, compact(float(row["denominator"]) + sofar), colour="orange")
              for row in rows(data, "coverage") if row["value"] is not None and row["dimensions"]["period"] == horizon][:1]  # fmt: skip
    reading = (
        f"{horizon} by every yardstick: ours (blue) from {compact(sofar + band['P10'])} to {compact(sofar + band['P90'])} {currency}, "
        "simple methods (grey), and what people say in the CRM (purple)."
    )
    lists = [[line.label, number(line.size)] for line in lines]
    made = table(("yardstick", f"at the end, {currency}"), lists, numbers=(f"at the end, {currency}",))
    return Chart(f"{horizon} by every yardstick, {currency}", reading, made, lambda width: bars(width, lines, step=27))
