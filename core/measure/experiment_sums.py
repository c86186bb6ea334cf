"""Sums over the visitors of a test's variants, and over the accounts they are of: all that the formulas need, in three queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ibis

from core.measure.exact import total
from core.measure.experiment_visitors import Goal
from core.measure.metric import pairs
from core.rules.experiments_known import TEST
from core.statistics.bootstrap import Values
from core.statistics.clusters import Across, Grouped
from core.statistics.samples import Sums

_ARM = [*TEST, "variation"]
_FEW = 200  # visitors with an amount, fewer of which are no normal distribution
Arm = tuple[str, str, str]  # account, experiment, variation


@dataclass(frozen=True)
class Variant:
    """One goal's numbers of one variant. `groups`: accounts its visitors are of; `amounts`: where few visitors have any."""

    sums: Sums
    inside: Grouped
    groups: float
    amounts: Values | None


@dataclass(frozen=True)
class Sample:
    """All tests' numbers: by arm and goal, and by two arms and goal what the accounts in both share. seen: visitors, however young."""

    variants: Mapping[tuple[Arm, str], Variant]
    across: Mapping[tuple[Arm, str, str], Across]
    seen: Mapping[Arm, Mapping[str, int]]

    def both(self, control: Arm, treatment: Arm, goal: str) -> Across:
        """With the number of accounts in either."""
        shared = self.across.get((control, treatment[2], goal), Across(0))
        groups = self.variants[control, goal].groups + self.variants[treatment, goal].groups - shared.groups
        return Across(**{**shared.__dict__, "groups": groups})


def sample(visitors: ibis.Table, goals: Sequence[Goal]) -> Sample:
    """visitors: core.measure.experiment_visitors.visitors. Persons who saw two variants are only counted as such."""
    t = visitors
    counted = t.group_by(*_ARM).agg(n=(~t.several).sum(), several=t.several.sum(), **_young(t, goals))
    seen = {_arm(row): {k: int(v or 0) for k, v in row.items() if k not in _ARM} for row in pairs(counted.order_by(*_ARM))}
    t = t.filter(~t.several)
    units = {_arm(row): row for row in pairs(t.group_by(*_ARM).agg(**_unit_sums(t, goals)).order_by(*_ARM))}
    groups = t.group_by(*_ARM, "cluster").agg(**_totals(t, goals)).cache()
    inside = {_arm(row): row for row in pairs(groups.group_by(*_ARM).agg(**_products(groups, goals)).order_by(*_ARM))}
    few = _amounts(t, [g for g in goals if g.money], units)
    variants = {(arm, g.name): _variant(units[arm], inside[arm], g, few.get((arm, g.name))) for arm in units for g in goals}
    return Sample(variants, _across(groups, goals), seen)


def _arm(row: Mapping[str, Any]) -> Arm:
    return row["account"], row["experiment"], row["variation"]


def _young(t: ibis.Table, goals: Iterable[Goal]) -> dict[str, ibis.Value]:
    return {f"young_{days}": (~t[f"old_{days}"] & ~t.several).sum() for days in {g.days for g in goals}}


def _unit_sums(t: ibis.Table, goals: Sequence[Goal]) -> dict[str, ibis.Value]:
    out: dict[str, ibis.Value] = {}
    for g in goals:
        old, y = t[f"old_{g.days}"], t[f"y_{g.name}"]
        out |= {
            f"n_{g.name}": old.sum(), f"y_{g.name}": total(y, old), f"yy_{g.name}": total(y * y, old),
            f"x_{g.name}": total(t.x, old), f"xx_{g.name}": total(t.x * t.x, old), f"xy_{g.name}": total(t.x * y, old),
            f"some_{g.name}": ((y != 0) & old).sum(),
        }  # fmt: skip
    return out


def _totals(t: ibis.Table, goals: Sequence[Goal]) -> dict[str, ibis.Value]:
    """One account's totals: n and x for each span of days, y for each goal."""
    out = {f"y_{g.name}": total(t[f"y_{g.name}"], t[f"old_{g.days}"]).fill_null(0.0) for g in goals}
    for days in {g.days for g in goals}:
        old = t[f"old_{days}"]
        out |= {f"n_{days}": old.sum().cast("float64"), f"x_{days}": total(t.x, old).fill_null(0.0)}
    return out


def _products(t: ibis.Table, goals: Sequence[Goal]) -> dict[str, ibis.Value]:
    out: dict[str, ibis.Value] = {}
    for g in goals:
        n, x, y = t[f"n_{g.days}"], t[f"x_{g.days}"], t[f"y_{g.name}"]
        out |= {f"{name}_{g.name}": total(a * b) for name, a, b in (
            ("nn", n, n), ("ny", n, y), ("yy", y, y), ("nx", n, x), ("xx", x, x), ("xy", x, y),
        )} | {f"groups_{g.name}": (n > 0).sum()}  # fmt: skip
    return out


def _variant(units: Mapping[str, Any], inside: Mapping[str, Any], g: Goal, amounts: Values | None) -> Variant:
    def of(row: Mapping[str, Any], *names: str) -> list[float]:
        return [float(row[f"{name}_{g.name}"] or 0) for name in names]

    return Variant(
        Sums(*of(units, "n", "y", "yy", "x", "xx", "xy")), Grouped(*of(inside, "nn", "ny", "yy", "nx", "xx", "xy")),
        of(inside, "groups")[0], amounts,
    )  # fmt: skip


def _across(groups: ibis.Table, goals: Sequence[Goal]) -> dict[tuple[Arm, str, str], Across]:
    """Products of totals of accounts with visitors in two arms."""
    other = groups.view()
    t = groups.inner_join(
        other, [*[groups[c] == other[c] for c in (*TEST, "cluster")], groups.variation != other.variation], rname="t_{name}"
    )
    sums: dict[str, ibis.Value] = {}
    for g in goals:
        a = {"n": t[f"n_{g.days}"], "x": t[f"x_{g.days}"], "y": t[f"y_{g.name}"]}
        b = {"n": t[f"t_n_{g.days}"], "x": t[f"t_x_{g.days}"], "y": t[f"t_y_{g.name}"]}
        sums |= {f"{i}{j}_{g.name}": total(a[i] * b[j]) for i in "nxy" for j in "nxy"}
        sums[f"groups_{g.name}"] = ((a["n"] > 0) & (b["n"] > 0)).sum()
    found: dict[tuple[Arm, str, str], Across] = {}
    for row in pairs(t.group_by(*_ARM, "t_variation").agg(**sums).order_by(*_ARM, "t_variation")):
        for g in goals:
            values = {name: float(row[f"{name}_{g.name}"] or 0) for name in Across.__dataclass_fields__}
            found[_arm(row), row["t_variation"], g.name] = Across(**values)
    return found


def _amounts(t: ibis.Table, goals: Sequence[Goal], units: Mapping[Arm, Mapping[str, Any]]) -> dict[tuple[Arm, str], Values]:
    """(amount, visitors) of tests where few visitors of some arm have one."""
    found: dict[tuple[Arm, str], Values] = {}
    for g in goals:
        tests = {arm[:2] for arm, row in units.items() if (row[f"some_{g.name}"] or 0) < _FEW}
        few = [arm for arm in units if arm[:2] in tests]
        keys = ["|".join(arm) for arm in few]
        mine = t.filter(t[f"old_{g.days}"], t[f"y_{g.name}"] != 0)
        mine = mine.filter((mine.account + "|" + mine.experiment + "|" + mine.variation).isin(keys or [""]))
        rows = pairs(mine.group_by(*_ARM, amount=mine[f"y_{g.name}"]).agg(k=mine.count()).order_by(*_ARM, "amount"))
        found |= {(arm, g.name): [(float(r["amount"]), int(r["k"])) for r in rows if _arm(r) == arm] for arm in few}
    return found
