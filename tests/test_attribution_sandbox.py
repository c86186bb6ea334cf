"""Attribution and experiments over a sandbox in which nothing was planted, against its ground truth: who came by what, who saw what."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sandbox_hub import NOW, Standing, only, standing_on
from unified_rows import moment

from connectors.sandbox.kit import Clock
from connectors.sandbox.world import build
from core.measure import rows
from core.pipeline import Understanding
from jobs.play import emulator_classes
from jobs.steps import run_measure, run_reconcile, run_sync

VENDORS = ("hubspot", "salesforce", "files", "vwo")  # the CRMs, the export of web analytics, an experiment tool
# Channels nobody comes by but at first: mail and direct visits come later, too.
CHANNELS = {"Organic Search": "organic search", "Paid Search": "paid search", "Referral": "referral", "Organic Social": "social"}


@dataclass(frozen=True)
class Measured:
    standing: Standing
    found: Understanding
    metrics: list[Mapping[str, Any]]

    @property
    def truth(self) -> Mapping[str, Any]:
        return self.standing.truth

    def all(self, name: str, **dims: Any) -> list[Mapping[str, Any]]:
        return [m for m in self.metrics if m["name"] == name and dims.items() <= m["dimensions"].items()]

    def behind(self, group: str, name: str, **dims: Any) -> set[str]:
        """Keys of the truth's people or deals behind a number."""
        key = {"people": "person", "deals": "deal"}[group]
        known = {tuple(map(str, record)): thing[key] for thing in self.truth[group] for record in thing["records"]}
        table = rows(self.found.facts, self.standing.hub.setup.funnel, self.found.as_of, name, dims)
        listed = [(r["account"], r["resource"], r["vendor_id"]) for r in table.to_pyarrow().to_pylist()]
        return {known[record] for record in listed if record in known}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    home, clock = tmp_path_factory.mktemp("attribution"), Clock(NOW.timestamp())
    world = build(30, 7, now=NOW.isoformat().replace("+00:00", "Z"), vendors=VENDORS, plant_rate=0.0)
    emulators = {name: emulator_classes()[name](world.seeds[name], clock=clock) for name in VENDORS}
    for emulator in emulators.values():
        if hasattr(emulator, "ticks"):
            emulator.ticks = clock.now
    funnel = home / "mappings" / "funnel.yaml"
    only((), funnel)
    funnel.write_text(funnel.read_text().replace("  # currency: EUR", "  currency: EUR #"))
    with standing_on(home, emulators, clock, world.truth) as stood:
        assert run_sync(stood.hub, quiet=True).status == "done"
        found = run_reconcile(stood.hub)
        metrics = [{**m, "dimensions": json.loads(m["dimensions"])} for m in run_measure(stood.hub, found, ["attribution", "experiments"])]
        yield Measured(stood, found, metrics)


def won(company: Measured) -> list[Mapping[str, Any]]:
    """The truth's won deals of the last year."""
    first = str((NOW - timedelta(days=365)).date())
    return [d for d in company.truth["deals"] if d["outcome"] == "won" and d["close_date"] >= first]


def test_every_models_credits_are_the_true_revenue_to_the_cent(company):
    revenue = sum(Decimal(d["amount"]) for d in won(company))
    assert revenue > 0
    models = {m["dimensions"]["model"] for m in company.all("attributed_value", of="won") if "channel" in m["dimensions"]}
    assert len(models) == 11
    for model in models:
        by = {m["dimensions"].get("channel"): Decimal(str(m["value"])) for m in company.all("attributed_value", of="won", model=model)}
        by.pop(None, None)  # campaigns
        assert by.pop("all") == revenue == sum(by.values())


def by_channel(company: Measured, said: str) -> set[str]:
    """Won deals of the truth with a person who first came by the channel, before they were won."""
    came = {v["person"]: moment(v["first_visit"].rstrip("Z")) for v in company.truth["web"] if v["channel"] == said}
    return {d["deal"] for d in won(company) if any(p in came and str(came[p].date()) <= d["close_date"] for p in d["people"])}


def test_deals_are_credited_to_the_channels_their_people_came_by(company):
    true = {channel: by_channel(company, said) for said, channel in CHANNELS.items()}
    ours = {m["dimensions"]["channel"]: m["n"] for m in company.all("attributed_deals", of="won", model="linear")}
    assert {channel: ours.get(channel, 0) for channel in true} == {channel: len(deals) for channel, deals in true.items()}
    channel = max(true, key=lambda c: len(true[c]))
    assert company.behind("deals", "attributed_deals", of="won", channel=channel) == true[channel] != set()


def test_every_variant_has_the_persons_who_saw_it(company):
    saw = {v["person"]: v["variants"]["home_hero"] for v in company.truth["web"] if "home_hero" in v["variants"]}
    variant = max(sorted(saw.values()), key=list(saw.values()).count)
    dims = company.all("experiment_visitors", experiment="Home: factory picture", variant=variant)[0]["dimensions"]
    true = {person for person, seen in saw.items() if seen == variant}
    assert company.behind("people", "experiment_visitors", **dims) == true != set()


def test_our_visitors_are_the_tools(company):
    seen = company.all("experiment_visitors", experiment="Home: factory picture")
    assert len(seen) == 3
    for m in seen:
        dims = {k: m["dimensions"][k] for k in ("experiment", "tool", "variant")}
        theirs = company.all("experiment_vendor", **dims, figure="visitors")
        assert [v["value"] for v in theirs] == [m["value"]]


def test_no_sample_is_broken_where_nothing_was_planted(company):
    ratios = [m["value"] for m in company.all("experiment_sample_ratio") if m["value"] is not None]
    assert ratios
    assert min(ratios) > 0.001
