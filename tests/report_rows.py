"""A small company's numbers as literal metric rows: every chart of a report has something to draw."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

AS_OF = "2026-06-30T02:00:00+00:00"
STEPS = ("M20", "M30", "M40", "M50", "M80")
QUARTERS = ("2025-Q3", "2025-Q4", "2026-Q1", "2026-Q2")
SOURCES = {"web": (30, 24, 12, 9, 6), "fair": (20, 15, 10, 6, 2), "<b>ads</b>": (16, 8, 4, 2, 1)}
MODELS = ("first", "last", "linear", "w", "markov")


def metric(family: str, name: str, dims: dict[str, Any], value: float | None, unit: str = "persons", **more: Any) -> dict[str, Any]:
    row = {"family": family, "name": name, "definition": "", "dimensions": json.dumps(dims), "value": value, "unit": unit, "n": 100}
    return {**row, "numerator": None, "denominator": None, "low": None, "high": None, "excluded": "{}", **more}


def share(family: str, name: str, dims: dict[str, Any], part: float, whole: float, **more: Any) -> dict[str, Any]:
    bounds = {"low": max(0.0, part / whole - 0.1), "high": min(1.0, part / whole + 0.1)} if whole else {}
    value = part / whole if whole else None
    return metric(family, name, dims, value, "share", **{"numerator": part, "denominator": whole, "n": int(whole), **bounds, **more})


def funnel() -> list[dict[str, Any]]:
    out = []
    levels = {"M00": 900, "M20": 120, "M30": 80, "M50": 40, "M50 deals": 30, "M80": 12, "M80 deals": 9, "M90": 5}
    for before, (level, n) in zip((None, *levels), levels.items(), strict=False):
        dims = {"cohort": "2025-06 to 2026-05", "level": level}
        out.append(metric("funnel", "level_volume", dims, n, "users" if level == "M00" else "persons"))
        if before is not None and " " not in level:
            out.append(share("funnel", "level_step", {**dims, "from": before}, n, levels[before]))
    for cohort, counts in {"all": (120, 80, 60, 40, 12), "2026-01": (60, 45, 35, 25, 12), "2026-05": (60, 35, 25, 15, 0)}.items():
        for to, n in zip(STEPS, counts, strict=True):
            out.append(share("funnel", "reach", {"cohort": cohort, "from": "M20", "mode": "implied", "to": to}, n, counts[0]))
    for month, n in {"2026-03": 20, "2026-04": 34, "2026-05": 28, "2026-06": 3}.items():
        out += [metric("funnel", "entered", {"month": month, "stage": code}, n // (i + 1)) for i, code in enumerate(("M20", "M30", "M50"))]
    for a, b, days in (("M20", "M30", (4.0, 9.0, 21.0)), ("M30", "M40", (12.0, None, None)), ("M20", "M40", (19.0, None, None))):
        for quantile, value in zip(("median", "p75", "p90"), days, strict=True):
            out.append(metric("funnel", "time_to_next", {"from": a, "to": b, "quantile": quantile}, value, "days"))
    left = json.dumps({"no stage": 4})
    out += [metric("funnel", "stage_count", {"basis": "current", "stage": s}, 10 * i, excluded=left) for i, s in enumerate(STEPS, 1)]
    return out


def breakdown() -> list[dict[str, Any]]:
    return [
        share("breakdown", "reach_by", {"by": by, "part": part, "to": to}, n, counts[0])
        for by, parts in {"source": SOURCES, "owner": {"o@x.example": (30, 20, 12, 9, 4), "p@x.example": (25, 20, 10, 8, 3)}}.items()
        for part, counts in parts.items()
        for to, n in zip(STEPS, counts, strict=True)
    ]


VELOCITY = {"currency": "EUR", "win_rate": 0.4, "mean_won": 9000.0, "mean_cycle_days": 30.0}


def pipeline() -> list[dict[str, Any]]:
    out = []
    for stage, n, amount in (("Prospecting", 8, 40_000.0), ("Proposing", 5, 90_000.0), ("Closing", 2, 25_000.0)):
        out.append(metric("pipeline", "open_deals", {"stage": stage}, n, "deals"))
        out.append(metric("pipeline", "pipeline_value", {"stage": stage, "currency": "EUR"}, amount, "EUR"))
    usd = json.dumps({"in USD": 20_700.0})
    out.append(metric("pipeline", "pipeline_value", {"stage": "all", "currency": "EUR"}, 155_000.0, "EUR", excluded=usd))
    period = {"period": "2026-Q2", "currency": "EUR"}
    out.append(metric("pipeline", "coverage", period, 3.1, "×", numerator=155_000.0, denominator=50_000.0))
    out.append(metric("forecast", "required_coverage", period, 2.5, "×"))
    out += [share("movement", "pushed", {"times": times}, n, 15) for times, n in (("1", 6), ("2", 2))]
    out.append(metric("movement", "close_date_moves", {"what": "days"}, 240, "days"))
    out.append(metric("pipeline", "velocity", VELOCITY, 2500.0, "EUR per day"))
    for days, n in {"0-30": 6, "30-60": 5, "60-90": 2, "90-180": 2, "180+": 0}.items():
        out.append(metric("movement", "age_deals", {"basis": "since creation", "days": days}, n, "deals"))
        dims = {"basis": "since creation", "currency": "EUR", "days": days}
        out.append(metric("movement", "age_value", dims, n * 10_000.0, "EUR"))
    for stage in ("M50", "M60"):
        for end, part in {"won": 0.2, "forward": 0.5, "lost": 0.2, "back": 0.0}.items():
            out.append(metric("movement", "stage_end", {"stage": stage, "days": 90, "end": end, "what": f"{end}, 90 d"}, part, "share"))
        out.append(share("winrate", "stage_win_rate", {"stage": stage}, 12, 20))
    for q, won, lost in zip(QUARTERS, (4, 9, 12, 15), (4, 8, 9, 12), strict=True):
        out.append(share("winrate", "win_rate", {"by": "count", "period": q}, won, won + lost))
        out.append(share("winrate", "win_rate", {"by": "value", "period": q, "currency": "EUR"}, won * 9000.0, (won + lost) * 9000.0))
        out.append(metric("winrate", "won_value", {"period": q, "currency": "EUR"}, won * 9000.0, "EUR"))
        out.append(share("movement", "slippage", {"period": q, "currency": "EUR"}, 10_000.0, 100_000.0))
        out.append(share("movement", "due_won", {"period": q, "currency": "EUR"}, 60_000.0, 100_000.0))
    out.append(share("winrate", "win_rate", {"by": "count", "period": "last 365 days"}, 40, 73))
    return out


def win_parts() -> list[dict[str, Any]]:
    out = []
    parts = {
        "owner": {"o@x.example": (18, 20), "p@x.example": (8, 20), "q@x.example": (1, 2)},
        "source": {"web": (10, 30), "fair": (9, 10)}, "segment": {"mills": (10, 20), "(unknown)": (2, 4)},
        "size": {"50-249": (10, 20), "10-49": (5, 10)},
    }  # fmt: skip
    for by, counts in parts.items():
        out += [share("winrate", "win_rate_by", {"by": by, "part": part}, won, closed) for part, (won, closed) in counts.items()]
    for reason, n in {"price": 9, "(unknown)": 6, "timing": 5}.items():
        out.append(share("winrate", "lost_reasons", {"reason": reason}, n, 20))
    return out


def sources() -> list[dict[str, Any]]:
    out = []
    for source, counts in SOURCES.items():
        became = {"won": counts[4], "open deal": counts[3] - counts[4], "lost deal": 1, "before MQL": counts[0] - counts[1]}
        out += [metric("sources", "source_outcome", {"source": source, "outcome": name}, n) for name, n in became.items()]
        dims = {"source": source, "currency": "EUR"}
        out.append(metric("sources", "source_won_value", dims, counts[4] * 9000.0, "EUR", n=counts[4]))
        out.append(metric("sources", "source_open_value", dims, counts[3] * 7000.0, "EUR", n=counts[3]))
    return out


def attribution() -> list[dict[str, Any]]:
    out = []
    for i, channel in enumerate(("email", "paid search", "referral")):
        for j, model in enumerate(MODELS):
            dims = {"channel": channel, "currency": "EUR", "model": model, "of": "won"}
            out.append(metric("attribution", "attributed_value", dims, 10_000.0 * (1 + (i + j) % 3), "EUR"))
    cost = json.dumps({"counted by": "ga4 costs"})
    out.append(metric("attribution", "campaign_cost", {"campaign": "spring", "currency": "EUR"}, 900.0, "EUR", excluded=cost))
    out.append(metric("attribution", "campaign_cost", {"campaign": "fair", "currency": "EUR"}, 700.0, "EUR"))
    out.append(metric("attribution", "campaign_cost", {"campaign": "autumn", "currency": "EUR"}, 800.0, "EUR"))
    return out


def campaigns() -> list[dict[str, Any]]:
    out = []
    for campaign, cost, won, open_ in (("spring", 900.0, 2700.0, 5000.0), ("fair", 700.0, 350.0, 0.0), ("letter", None, 600.0, 1000.0)):
        for of, value in (("won", won), ("open", open_)):
            dims = {"campaign": campaign, "currency": "EUR", "model": "w", "of": of}
            out += [metric("attribution", "attributed_value", dims, value, "EUR")] if value else []
        for of, n in (("M20", 30.0), ("M50", 3.0)):
            out.append(metric("attribution", "attributed_persons", {"campaign": campaign, "model": "w", "of": of}, n))
            if cost:
                out.append(metric("attribution", "cost_per", {"campaign": campaign, "currency": "EUR", "of": of}, cost / n, "EUR"))
        if cost:
            dims = {"campaign": campaign, "currency": "EUR"}
            out.append(metric("attribution", "campaign_return", dims, won / cost, "×", numerator=won, denominator=cost))
    whole = {"campaign": "all", "currency": "EUR"}
    return [*out, metric("attribution", "campaign_return", whole, 1.27, "×", numerator=3050.0, denominator=2400.0)]


def retention() -> list[dict[str, Any]]:
    """January's twenty customers were all watched for half a year, of April's twelve only five for three months, of May's four none."""
    out = []
    for cohort, ages in {"all": {1: (33, 36), 3: (20, 25), 6: (14, 20)}, "2026-01": {1: (19, 20), 3: (16, 20), 6: (14, 20)},
                         "2026-04": {1: (11, 12), 3: (4, 5)}, "2026-05": {1: (3, 4)}}.items():  # fmt: skip
        for age, (kept, watched) in ages.items():
            left = json.dumps({"not watched long enough": 7} if (cohort, age) == ("2026-04", 3) else {})
            dims = {"cohort": cohort, "month": age}
            out.append(share("retention", "retention", {**dims, "mode": "classic"}, kept, watched, excluded=left))
            for kind, value in (("GRR", 0.9), ("NRR", 1.2)) if cohort == "all" else ():
                out.append(metric("retention", "revenue_retention", {**dims, "kind": kind, "currency": "EUR"}, value - age / 100, "share"))
    for end, (grr, nrr) in {"2026-Q1": (0.85, 0.95), "2025-Q4": (0.8, 0.9), "now": (0.9, 1.1)}.items():
        for kind, value in (("GRR", grr), ("NRR", nrr)):
            dims = {"year_to": end, "kind": kind, "currency": "EUR"}
            out.append(metric("retention", "revenue_retention_year", dims, value, "share", n=12, denominator=120_000.0))
    return out


OWNERS = {"o@x.example": ("2026-06-01", "2026-07-15"), "p@x.example": ("",)}


def leads() -> list[dict[str, Any]]:
    out = []
    for band, n in {"A": 4, "B": 9, "C": 30}.items():
        out.append(metric("score", "score_band", {"band": band, "method": "model"}, n))
        out.append(metric("score", "score_expected", {"band": band, "method": "model"}, 0.5 if band == "A" else 0.1, "share", n=n))
    for owner, band, n in (("o@x.example", "A", 3), ("o@x.example", "C", 20), ("p@x.example", "A", 1)):
        out.append(metric("score", "score_owner", {"owner": owner, "band": band}, n))
    dims = {"person": "per_1", "band": "A", "why": "three visits"}
    out.append(metric("score", "lead_score", dims, 97.0, "points", n=1, numerator=0.61))
    for step, action, n, late in (("respond", "call or write", 5, 2), ("re_date", "re-date or close", 3, 0)):
        dims = {"step": step, "state": "open", "why": f"why {step}", "action": action}
        out.append(metric("next", "follow_ups", dims, n, "persons", n=n, numerator=late, denominator=n))
    for owner, days in OWNERS.items():
        for place, due in enumerate(days, 1):
            dims = {"owner": owner, "place": place, "entity": f"dea_{place}", "state": "open", "why": "past its close date",
                    "action": "re-date or close", "due": due}  # fmt: skip
            out.append(metric("next", "follow_up", dims, 5000.0 / place, "EUR", n=1, as_of=AS_OF))
    return out


def experiments() -> list[dict[str, Any]]:
    out = []
    for test, p in {"Short form": 0.4, "Blue button": 0.0001}.items():
        out.append(metric("experiments", "experiment_sample_ratio", {"experiment": test, "tool": "vwo"}, p, "p"))
        for variant, n in {"control": 40, "new": 52}.items():
            dims = {"experiment": test, "tool": "vwo", "variant": variant}
            out.append(metric("experiments", "experiment_visitors", dims, 400, "visitors"))
            out.append(share("experiments", "experiment_rate", {**dims, "goal": "M20", "days": 30}, n, 400))
        against = {"experiment": test, "tool": "vwo", "variant": "new", "against": "control", "days": 30}
        out.append(metric("experiments", "experiment_lift", {**against, "goal": "M20"}, 0.3, "share", low=0.05, high=0.55))
        out.append(metric("experiments", "experiment_lift", {**against, "goal": "M50"}, 0.1, "share", low=-2.5, high=2.7))
        out.append(metric("experiments", "experiment_lift", {**against, "goal": "M30"}, -1.0, "share", low=-1.0, high=-1.0))
    return out


def forecast() -> list[dict[str, Any]]:
    out = []
    for horizon, until, size in (("2026-Q2", "2026-07-10", 1.0), ("next 90 days", "2026-09-28", 3.0)):
        dims = {"horizon": horizon, "until": until}
        out += [metric("forecast", "forecast_band", {**dims, "quantile": q}, v * size, "EUR") for q, v in BAND.items()]
        out += [metric("forecast", "forecast", {**dims, "method": m}, 30_000.0 * size, "EUR") for m in ("calibrated", "crm_weighted")]
        out.append(metric("forecast", "forecast_part", {**dims, "part": "won so far"}, 50_000.0, "EUR"))
    out.append(metric("forecast", "forecast_category", {"down_to": "commit", "horizon": "2026-Q2"}, 80_000.0, "EUR"))
    for q in QUARTERS[:3]:
        for day in ("03", "20"):
            said = {"forecast": 90_000.0, "P10": 60_000.0, "P50": 85_000.0, "P90": 120_000.0, "won": 70_000.0}
            for what, value in said.items():
                window = f"{q} on {q[:4]}-01-{day}"
                out.append(metric("backtest", "backtest_window", {"kind": "period", "window": window, "what": what}, value, "EUR"))
    for method, error in {"calibrated": 0.18, "crm_weighted": 0.6}.items():
        out.append(metric("backtest", "backtest", {"kind": "period", "method": method, "score": "wape"}, error, "number", n=6))
    out.append(share("backtest", "backtest_coverage", {"kind": "period", "method": "calibrated"}, 5, 6))
    for (low, high), chance, won in zip(pairwise((0.0, 0.2, 0.4)), (0.1, 0.3), (3, 9), strict=True):
        dims = {"kind": "days", "bin": f"{low:.1f}-{high:.1f}"}
        out.append(metric("backtest", "reliability", {**dims, "what": "expected"}, chance, "share"))
        out.append(share("backtest", "reliability", {**dims, "what": "won"}, won, 30))
    return out


BAND = {"P10": 10_000.0, "P50": 30_000.0, "P90": 70_000.0}


def waterfall() -> list[dict[str, Any]]:
    amounts = {
        "start": 100.0,
        "new": 40.0,
        "up": 5.0,
        "moved in": 0.0,
        "moved out": 20.0,
        "lost": 15.0,
        "down": 0.0,
        "won": 30.0,
        "end": 80.0,
    }
    dims = {"from": "2026-04-01", "to": "2026-06-30", "due": "2026-Q2", "currency": "EUR", "span": "2026-04-01 to 2026-06-30"}
    return [metric("waterfall", "waterfall", {**dims, "bucket": b}, 1000 * a, "EUR", n=3) for b, a in amounts.items()]


def finding(rule: str, severity: str, i: int) -> dict[str, Any]:
    return {
        "finding_id": f"{rule}{i:020}", "rule": rule, "severity": severity, "title": f"Title of {rule}", "entity_kind": "deal",
        "entity_id": f"dea_{i}", "systems": ["hubspot"], "records": [["hubspot", "deals", str(i)]], "field": "amount",
        "values": {"hubspot": "1"}, "since": None, "first_seen": AS_OF, "last_seen": AS_OF, "status": "open", "fix": None,
        "question": "Which?", "evidence": {}, "notes": [],
    }  # fmt: skip


def day(name: str, *counts: int) -> dict[str, Any]:
    return {
        "day": name,
        "open": {"D-01": sum(counts)},
        "severities": dict(zip(("S1", "S2", "S3", "S4"), counts, strict=True)),
        "new": 3,
        "fixed": 1,
    }


MARK = {
    "account": "ga4", "report": "costs", "mark": "restated", "values": 3, "of": 40, "days": 2, "first_day": "2026-06-01",
    "last_day": "2026-06-02", "sample": None, "meaning": "changed by the vendor after it was first read",
}  # fmt: skip
CARD = {
    "stage": "Proposing", "entity_id": "dea_1", "name": "Loom <i>mill</i>", "amount": 30_000.0, "currency": "EUR", "days": 12,
    "close_date": "2026-06-01", "late": True, "n": 5,
}  # fmt: skip
METRICS = [
    *funnel(), *breakdown(), *pipeline(), *win_parts(), *sources(), *attribution(), *campaigns(), *experiments(), *forecast(), *waterfall(),
    *retention(), *leads(),
]  # fmt: skip
AGREEMENT = [
    {"kind": kind, "field": field, "left": "hubspot", "right": right, "both": both, "equal": equal}
    for kind, field, right, both, equal in (
        ("person", "owner", "mailchimp", 40, 40), ("deal", "amount", "salesforce", 200, 190), ("deal", "stage", "salesforce", 500, 499),
        ("deal", "owner", "salesforce", 4, 0),
    )
]  # fmt: skip
STAGES = [
    {"kind": "deal", "account": "hubspot", "resource": "deals", "pipeline": "Partners", "stage": "Referred", "milestone": None,
     "pipeline_stage": None, "unmapped": True, "n": 3},
    {"kind": "deal", "account": "hubspot", "resource": "deals", "pipeline": None, "stage": "Closed Won", "milestone": "M80",
     "pipeline_stage": "Won", "unmapped": False, "n": 9},
]  # fmt: skip
SYNC = [
    {"account": "hubspot", "resources": 5, "lag_hours": 0.4, "behind": "deals", "rejected": 2, "trouble": "", "written": 12,
     "refused": 1, "frozen": 1},
    {"account": "vwo", "resources": 2, "lag_hours": None, "behind": "campaigns", "rejected": 0, "trouble": "campaigns: cut off",
     "written": 0, "refused": 0, "frozen": 0},
]  # fmt: skip
DATA: dict[str, Any] = {
    "as_of": AS_OF, "organisation": "Lumen & Loom", "freshness": {"hubspot": AS_OF}, "entities": {"person": 120, "deal": 30},
    "metrics": METRICS, "quality": [MARK], "board": [CARD, {**CARD, "stage": "Closing", "late": False, "amount": None, "close_date": ""}],
    "agreement": AGREEMENT, "stages": STAGES, "sync": SYNC, "left_out": [{"what": "persons (colleagues and tests)", "n": 2, "of": 122}],
    "findings": [finding("D-01", "S2", 1), finding("D-01", "S2", 2), finding("C-01", "S1", 3)],
    "trend": [day("2026-06-01", 5, 9, 4, 1), day("2026-06-15", 3, 8, 6, 1), day("2026-06-30", 1, 7, 8, 0)],
}  # fmt: skip
EMPTY: dict[str, Any] = {"as_of": AS_OF, "organisation": "Nobody", "metrics": [], "findings": [], "agreement": [], "trend": [],
                         "quality": []}  # fmt: skip
