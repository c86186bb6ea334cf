"""How far the systems agree: for each field and pair of accounts, the share of records that say the same."""

from __future__ import annotations

from jobs.report.charts.chart import HALF, Chart, Spec
from jobs.report.charts.heat import Cell, heat_map
from jobs.report.charts.rows import Data
from jobs.show_metrics import number
from jobs.show_sync import agreement_table

PAIRS, ON_PHONE = 8, 4  # those with most to compare


def matrix(data: Data) -> Chart | None:
    """Fields down, pairs of accounts across; the darker the more they differ."""
    found = data.get("agreement") or ()
    if not found:
        return None
    weight: dict[tuple[str, str], int] = {}
    for row in found:
        weight[row["left"], row["right"]] = weight.get((row["left"], row["right"]), 0) + row["both"]
    pairs = sorted(weight, key=lambda pair: (-weight[pair], pair))[:PAIRS]
    fields = list(dict.fromkeys((row["kind"], row["field"]) for row in found if (row["left"], row["right"]) in pairs))
    cells = {
        (" ".join((row["kind"], row["field"])), " ".join((row["left"], row["right"]))): Cell(
            _percent(row["equal"], row["both"]), (1 - row["equal"] / row["both"]) ** 0.5,
            f"{row['kind']} {row['field']}, {row['left']} and {row['right']}: {number(row['equal'])} of {number(row['both'])} say the same",
        )
        for row in found
    }  # fmt: skip
    both, equal = (sum(row[name] for row in found) for name in ("both", "equal"))
    least = min((row for row in found if row["both"] >= 10), key=lambda row: row["equal"] / row["both"], default=found[0])
    reading = (
        f"Where two accounts both say something of one person, company or deal, they say the same in {_percent(equal, both)} of "
        f"{number(both)} cases. They differ most on {least['kind']} {least['field']}: {least['left']} and {least['right']} agree in "
        f"{_percent(least['equal'], least['both'])} of {number(least['both'])}."
    )
    names = [(f"{kind} {field}", f"{kind} {field}") for kind, field in fields]

    def drawn(width: int) -> Spec:
        kept = pairs if width >= HALF else pairs[:ON_PHONE]
        heads = [(f"{left} {right}", f"{left} · {right}") for left, right in kept]
        here = {key: cell for key, cell in cells.items() if key[1] in dict(heads)}
        lines = [name for name in names if any(key[0] == name[0] for key in here)]
        return heat_map(width, lines, heads, here)

    return Chart("Records that say the same, by field and pair of accounts", reading, agreement_table(found), drawn, wide=len(pairs) > 4)


def _percent(part: int, whole: int) -> str:
    """Not rounded up to all of it while one differs."""
    share = 100 * part / whole
    return "100 %" if part == whole else f"{min(share, 99.9):.1f} %" if share > 99 else f"{share:.0f} %"
