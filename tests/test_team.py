"""A team's set-up, by commands: the ledger in a PostgreSQL server, and two portals of one vendor whose ids are the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sandbox_hub import NOW, Said, Standing, loaded, standing, true_records, tundish

from connectors.sandbox.hubspot import HubspotEmulator
from connectors.sandbox.kit import Emulator, serve

OTHER = """accounts:
  emea:
    vendor: hubspot
    settings: {{token: file:secrets/hubspot.token, base_url: "{url}"}}
"""


@dataclass(frozen=True)
class Team:
    sandbox: Standing
    emea: Emulator
    truth: dict[str, set[tuple[str, str, str]]]

    def say(self, *words: str) -> Said:
        return tundish("--config", self.sandbox.config, *words, "--json")


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory, postgres: str) -> Iterator[Team]:
    with standing(tmp_path_factory.mktemp("team"), size=4, vendors=["hubspot"]) as sandbox:
        others, truth = loaded(3, 11, NOW, sandbox.clock, ["hubspot"])
        with serve(list(others.values())) as urls:
            text = sandbox.config.read_text().replace("accounts:\n", OTHER.format(url=urls["hubspot"]))
            sandbox.config.write_text(text.replace("state/ledger.db", database(postgres, "team")))
            emea = {("emea", resource, i) for _, resource, i in true_records(truth, ["hubspot"])}
            yield Team(sandbox, others["hubspot"], {"hubspot": true_records(sandbox.truth, ["hubspot"]), "emea": emea})


def database(server: str, name: str) -> str:
    """The ledger URL of a new, empty database."""
    import psycopg

    with psycopg.connect(server, autocommit=True) as session:
        session.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
    return server.replace("postgresql:", "postgresql+psycopg:", 1).replace("/postgres?", f"/{name}?")


def live(team: Team) -> dict[str, set[tuple[str, str, str]]]:
    parts = (
        f"SELECT account, resource, vendor_id FROM {k} WHERE NOT deleted AND merged_into IS NULL" for k in ("person", "company", "deal")
    )
    rows = team.say("sql", " UNION ALL ".join(parts)).json["rows"]
    keys = {(r["account"], r["resource"], r["vendor_id"]) for r in rows}
    return {name: {k for k in keys if k[0] == name} for name in ("hubspot", "emea")}


def owned(emulator: Emulator) -> dict[str, str]:
    """Our stage on each contact that carries one."""
    assert isinstance(emulator, HubspotEmulator)
    rows = emulator.store.tables["contacts"].rows.values()
    return {t.id: t.props["tundish_stage"] for t in rows if t.props.get("tundish_stage")}


def test_the_line_runs_on_postgres_over_two_portals_of_one_vendor(team: Team) -> None:
    synced = team.say("sync")
    assert (synced.code, {r["account"] for r in synced.json["records"]}) == (0, {"hubspot", "emea"}), synced.err
    assert live(team) == team.truth
    assert {i for _, _, i in team.truth["hubspot"]} & {i for _, _, i in team.truth["emea"]}  # or the test would show nothing

    planned = team.say("plan")
    assert planned.code == 0, planned.out
    plan = planned.json["plan_id"]
    applied = team.say("apply", plan, "--yes", "--allow-large")
    assert applied.code == 0, applied.err
    portals = (team.sandbox.emulators["hubspot"], team.emea)
    assert all(len(owned(portal)) > 3 for portal in portals)
    assert team.say("undo", applied.json["run"], "--yes").code == 0
    assert [owned(portal) for portal in portals] == [{}, {}]
    past = {r["job"]: r for r in team.say("runs").json["runs"]}
    assert set(past) == {"sync", "reconcile", "apply", "undo"}
    assert past["undo"]["detail"] == past["apply"]["detail"] == {"plan": plan}
    told = team.say("runs", past["apply"]["id"]).json
    assert (told["plan"], {o["status"] for o in told["outcomes"]}) == (plan, {"applied"})


def test_a_change_in_one_portal_is_appended_to_that_account_only(team: Team) -> None:
    team.say("sync")
    [id, *_] = sorted(i for _, resource, i in team.truth["emea"] if resource == "contacts")
    team.sandbox.clock.advance(600)
    team.emea.edits["update"]("contacts", id, {"city": "Utrecht"})
    rows = team.say("sync").json["records"]
    assert {(r["account"], r["resource"]): r["appended"] for r in rows if r["appended"]} == {("emea", "contacts"): 1}
