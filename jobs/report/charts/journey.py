"""One way through all systems: a lane each for web, mail, sales, records, deals and what we told, with the milestones above them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from jobs.report.charts.chart import HALF, LETTER, Chart, Spec, days, layered, own_colour, said, values
from jobs.report.charts.palette import light
from jobs.show_table import table

NAMES = {"web": "web", "mail": "mail", "sales": "sales", "records": "people", "deals": "deals", "told": "told"}
MEANING = {
    "web": "visits, forms, surveys, tests", "mail": "letters sent, opened, clicked", "sales": "calls and meetings",
    "records": "people's records", "deals": "deals", "told": "events told by this hub",
}  # fmt: skip
COLOURS = {"deals": "teal", "told": "grey"}
SAID = 4  # moments of a day that its dot tells
LANE, LABEL, GUTTER = 30, 17, 52  # pixels of a lane, of a line of milestones' names, and for the lanes' names


def journey(data: Mapping[str, Any]) -> Chart | None:
    """data: as `jobs.explain.explain_entity` gives it; None where nothing is dated."""
    way: Sequence[Mapping[str, str]] = data["timeline"]
    if not way:
        return None
    reached = [one for one in data["milestones"] if one["at"] is not None]
    first, last = way[0]["at"], way[-1]["at"]
    counts = {lane: sum(1 for moment in way if moment["lane"] == lane) for lane in NAMES}
    systems = sorted({moment["account"] for moment in way})
    reading = (
        f"{len(way)} moments in {len(systems)} systems ({', '.join(systems)}), {first[:10]} to {last[:10]}. "
        f"{'Dashed lines are milestones; a' if reached else 'A'} dot is a day in its lane, the larger the more happened."
    )
    lists = [[NAMES[lane], MEANING[lane], n] for lane, n in counts.items() if n]
    lanes = [lane for lane in NAMES if counts[lane]]
    return Chart(
        "What happened when, lane by lane", reading, table(("lane", "what it has", "moments"), lists, numbers=("moments",)),
        lambda width: _drawn(width, way, reached, lanes), wide=True,
    )  # fmt: skip


def _drawn(width: int, way: Sequence[Mapping[str, str]], reached: Sequence[Mapping[str, Any]], lanes: Sequence[str]) -> Spec:
    begin, end = _span([moment["at"] for moment in way] + [one["at"] for one in reached])
    labels, rows = _staggered(width, reached, begin, end)
    top = rows * LABEL + 6
    height = top + LANE * len(lanes)
    place = {lane: top + LANE * i for i, lane in enumerate(lanes)}
    shown = {**days(width), "tickCount": 3 if width < HALF else 6, "format": "%-d %b %Y", "labelOverlap": True, "labelFlush": True}
    x = {
        "field": "at",
        "type": "temporal",
        "title": None,
        "axis": shown,
        "scale": {"domain": [begin, end], "type": "utc", "range": [GUTTER, width - 4]},
    }
    y = {"field": "y", "type": "quantitative", "axis": None, "scale": {"domain": [height, 0], "nice": False, "zero": False}}
    names = [{"y": place[lane] + LANE / 2, "text": NAMES[lane]} for lane in lanes]
    edges = [{"y": place[lane]} for lane in lanes]
    dots = [
        {"at": part[0]["at"], "y": place[lane] + LANE / 2, "size": 45 + 35 * min(len(part), 8), "said": _said(part),
         "colour": light(COLOURS.get(lane, "blue"))}
        for (lane, _), part in _by_day(way).items()
    ]  # fmt: skip
    rules = [{"at": one["at"], "y": one["y"] + 4, "foot": height} for one in labels]
    sides = {side: [one for one in labels if one["side"] == side] for side in ("left", "right")}
    name = {"type": "text", "align": "left", "baseline": "middle", "color": light("ink"), "fontSize": 12}
    size = {"field": "size", "type": "quantitative", "scale": None}
    layers: list[Spec] = [
        {"data": values(edges), "mark": {"type": "rule", "color": light("line")}, "encoding": {"y": y}},
        {"data": values(rules), "mark": {"type": "rule", "strokeDash": [3, 3], "color": light("soft")},
         "encoding": {"x": x, "y": y, "y2": {"field": "foot"}}},
        {"data": values(dots), "mark": {"type": "point", "filled": True, "opacity": 0.8},
         "encoding": {"x": x, "y": y, "size": size, "color": own_colour(), "description": said()}},
        {"data": values(names), "mark": name, "encoding": {"x": {"value": 0}, "y": y, "text": {"field": "text"}}},
        *({"data": values(sides[side]), "mark": {"type": "text", "align": side, "baseline": "bottom", "dx": 3 if side == "left" else -3},
           "encoding": {"x": x, "y": {**y, "field": "y"}, "text": {"field": "text"}}} for side in sides),
    ]  # fmt: skip
    return layered(width, height, [layer for layer in layers if layer["data"]["values"]])


def _by_day(way: Sequence[Mapping[str, str]]) -> dict[tuple[str, str], list[Mapping[str, str]]]:
    """The moments of each lane and day, in their order."""
    found: dict[tuple[str, str], list[Mapping[str, str]]] = {}
    for moment in way:
        found.setdefault((moment["lane"], moment["at"][:10]), []).append(moment)
    return found


def _said(part: Sequence[Mapping[str, str]]) -> str:
    said = "; ".join(f"{moment['account']}: {moment['what']}" for moment in part[:SAID])
    return f"{part[0]['at'][:10]}, {said}" + (f"; {len(part) - SAID} more" if len(part) > SAID else "")


def _span(instants: Sequence[str]) -> tuple[str, str]:
    """From the first to the last, with a little room; an instant alone has a day about it."""
    first, last = (datetime.fromisoformat(at) for at in (min(instants), max(instants)))
    room = max((last - first) * 0.03, timedelta(hours=12))
    return (first - room).isoformat(), (last + room).isoformat()


def _staggered(width: int, reached: Sequence[Mapping[str, Any]], begin: str, end: str) -> tuple[list[dict[str, Any]], int]:
    """The milestones' names, one under the other where they would meet; and how many lines that takes."""
    start, whole = (datetime.fromisoformat(begin), datetime.fromisoformat(end) - datetime.fromisoformat(begin))
    taken: list[list[tuple[float, float]]] = []
    out = []
    for one in sorted(reached, key=lambda one: (one["at"], one["code"])):
        text = f"{one['code']} {one['name']}"
        x, wide = GUTTER + (datetime.fromisoformat(one["at"]) - start) / whole * (width - GUTTER), len(text) * LETTER + 8
        side = "left" if x + wide < width else "right"
        box = (x, x + wide) if side == "left" else (x - wide, x)
        row = next((i for i, boxes in enumerate(taken) if all(box[1] <= a or box[0] >= b for a, b in boxes)), len(taken))
        taken += [[]] if row == len(taken) else []
        taken[row].append(box)
        out.append({"at": one["at"], "text": text, "side": side, "y": (row + 1) * LABEL})
    return out, len(taken)
