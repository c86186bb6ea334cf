"""The sandbox's world: always the same, shaped as the emulators want it, clean but for what was planted."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Any

import pytest

from connectors.sandbox.world import NOW, World, build, contacts_only
from connectors.sandbox.world_names import member_id, sf_checksum, sf_id


def words(text: str) -> list[str]:
    return text.split()


RULES = words(
    "I-01 I-04 I-06 I-10 S-01 S-02 S-03 S-05 S-06 S-07 S-09 S-11 D-01 D-02 D-03 D-05 D-06 D-09 D-11 D-15 C-01 C-03 E-01 G-01 T-05"
)
LIFECYCLE = words("subscriber lead marketingqualifiedlead salesqualifiedlead opportunity customer evangelist")
HS = words("appointmentscheduled qualifiedtobuy presentationscheduled decisionmakerboughtin contractsent closedwon closedlost")
SF = ["Prospecting", "Qualification", "Proposal/Price Quote", "Negotiation/Review", "Closed Won", "Closed Lost"]
STAGE = dict(zip(HS, (0, 1, 2, 3, 3, 4, 5), strict=True)) | dict(zip(SF, range(6), strict=True))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


class Seen:
    """The seeds by id, and the catalogue's rules written out naively over them: a second opinion, not the product's code."""

    def __init__(self, world: World) -> None:
        hub, force, chimp = (world.seeds[v] for v in ("hubspot", "salesforce", "mailchimp"))
        self.now = at(world.truth["now"])
        live = [c for c in hub["objects"]["contacts"] if not c["archived"] and "merged_into" not in c]
        self.contacts = {c["id"]: c["properties"] for c in live}
        self.deals = {d["id"]: d for d in hub["objects"]["deals"]}
        self.opps = {o["Id"]: o for o in force["objects"]["Opportunity"]}
        self.sf = {k: [r for r in rows if not r.get("IsDeleted")] for k, rows in force["objects"].items()}
        self.members = [m for rows in chimp["members"].values() for m in rows]
        self.letters = world.seeds["activecampaign"]["contacts"]
        self.mapped = {s["id"] for s in hub["pipelines"]["deals"][0]["stages"]}
        self.events = {e["properties"]["deal_id"] for e in hub["events"] if e["eventType"].endswith("_close_convert_lead")}
        self.people_of = defaultdict(list)
        for a in hub["associations"]:
            if (a["from_type"], a["to_type"]) == ("deals", "contacts"):
                self.people_of[a["from_id"]].append(a["to_id"])
        self.history = defaultdict(list)
        for row in self.sf["OpportunityHistory"]:
            self.history[row["OpportunityId"]].append(row)
        owners = {o["id"]: o["email"].lower() for o in hub["owners"]} | {u["Id"]: u["Email"].lower() for u in self.sf["User"]}
        self.owner = owners
        self.found: dict[str, set[str]] = {rule: set() for rule in RULES}
        self.pairs = [(d, self.opps.get(d["properties"]["salesforceopportunityid"] or "")) for d in self.deals.values()]
        self.paths = [self._path(d, o) for d, o in self.pairs]
        self._limits = self._p90()
        self._people()
        for (deal, opp), path in zip(self.pairs, self.paths, strict=True):
            self._deal(deal, opp, path)
        for opp in self.opps.values():
            if opp["HubSpot_Id__c"] is None:
                self.found["I-06"].add(opp["Id"])
        self._twice()

    def _path(self, deal: dict[str, Any], opp: dict[str, Any] | None) -> list[list[tuple[str, datetime]]]:
        """The stages entered: HubSpot's, and Salesforce's with equal neighbours collapsed."""
        hub = [(h["value"], at(h["timestamp"])) for h in reversed(deal["history"]["dealstage"])]
        force: list[tuple[str, datetime]] = []
        for row in sorted(self.history[opp["Id"]] if opp else [], key=lambda r: r["CreatedDate"]):
            if not force or force[-1][0] != row["StageName"]:
                force.append((row["StageName"], at(row["CreatedDate"])))
        return [hub, force]

    def _p90(self) -> dict[str, float]:
        spells = defaultdict(list)
        for paths in self.paths:
            for path in paths:
                if path and STAGE.get(path[-1][0]) == 4:
                    for (stage, t), (_, end) in pairwise(path):
                        spells[stage].append((end - t) / timedelta(days=1))
        return {stage: sorted(days)[int(len(days) * 0.9)] if len(days) >= 30 else 30.0 for stage, days in spells.items()}

    def _people(self) -> None:
        for rows in (list(self.contacts.items()), [(r["Id"], {"email": r["Email"]}) for r in self.sf["Contact"]]):
            same = defaultdict(list)
            for key, row in rows:
                same[row["email"].lower()].append(key)
            self.found["I-01"].update(key for keys in same.values() if len(keys) > 1 for key in keys)
        by_mail = {a.lower(): k for k, c in self.contacts.items() for a in (c["email"], *(c["hs_additional_emails"] or "").split(";")) if a}
        converted = {r["Id"] for r in self.sf["Lead"] if r["IsConverted"]}
        won, opened, lost = self._linked()
        for key, c in self.contacts.items():
            level = LIFECYCLE.index(c["lifecyclestage"]) if c["lifecyclestage"] else 99  # none: another rule's matter
            if 99 > level >= 5 and key in lost and key not in won:
                self.found["S-01"].add(key)
            if key in won and level < 5:
                self.found["S-02"].add(key)
            if key in opened and level < 4:
                self.found["S-03"].add(key)
            if c["salesforceleadid"] in converted and level < 3:
                self.found["S-11"].add(key)
        for m in self.members:
            c = self.contacts.get(by_mail.get(m["email_address"].lower(), ""))
            mailed = c and c["hs_email_optout"] == "false" and c["hs_marketable_status"] == "true"
            rule = {"unsubscribed": "C-01", "cleaned": "C-03"}.get(m["status"])
            if mailed and rule:
                self.found[rule].add(member_id(m["email_address"]))

        self._opted_out(by_mail)

    def _opted_out(self, by_mail: dict[str, str]) -> None:
        """C-01 between ActiveCampaign's lists and the others."""
        chimp = {m["email_address"].lower(): m for m in self.members}
        for person in self.letters:
            c, m = self.contacts.get(by_mail.get(person["email"].lower(), "")), chimp.get(person["email"].lower(), {"status": ""})
            mailed = (c and c["hs_email_optout"] == "false" and c["hs_marketable_status"] == "true") or m["status"] == "subscribed"
            statuses = {row["status"]: f"{person['id']}:{row['list']}:{row['id']}" for row in person["lists"]}
            if 2 in statuses and mailed:
                self.found["C-01"].add(statuses[2])
            if 1 in statuses and m["status"] == "unsubscribed":
                self.found["C-01"].add(statuses[1])

    def _linked(self) -> tuple[set[str], set[str], set[str]]:
        sets: tuple[set[str], set[str], set[str]] = (set(), set(), set())
        by_contact = {c["salesforcecontactid"]: k for k, c in self.contacts.items()}
        roles = [(by_contact[r["ContactId"]], self.opps[r["OpportunityId"]]["StageName"]) for r in self.sf["OpportunityContactRole"]]
        hub = [(p, d["properties"]["dealstage"]) for d in self.deals.values() for p in self.people_of[d["id"]]]
        for person, stage in hub + roles:
            sets[{4: 0, 5: 2}.get(STAGE.get(stage, 0), 1)].add(person)
        return sets

    def _deal(self, deal: dict[str, Any], opp: dict[str, Any] | None, paths: list[list[tuple[str, datetime]]]) -> None:
        key, p, found = deal["id"], deal["properties"], self.found
        mine, entered = p["dealstage"], paths[0][-1][1]
        is_open = STAGE.get(mine, 0) < 4
        amount = float(p["amount"]) if p["amount"] else None
        close = at(p["closedate"] or f"{opp['CloseDate'] if opp else '9999-12-31'}T12:00:00Z")
        old = self.now - entered > timedelta(days=1)
        if is_open and not self.people_of[key]:
            found["I-04"].add(key)
        if mine not in self.mapped:
            found["G-01"].add(key)
        if is_open and STAGE.get(mine, 0) >= 2 and not amount:
            found["D-03"].add(key)
        if is_open and close < self.now:
            found["D-06"].add(key)
        if close < at(p["createdate"]):
            found["D-15"].add(key)
        known = any(self.contacts[c]["ga_client_id"] for c in self.people_of[key])
        if mine == "closedwon" and known and key not in self.events:
            found["E-01"].add(key)
        for path in paths:
            self._history(key, path)
        self._ping_pong(key, deal["history"])
        if opp is None:
            if p["sync_to_salesforce"] == "true" and self.now - at(p["createdate"]) > timedelta(days=1):
                found["I-06"].add(key)
            return
        theirs = opp["StageName"]
        both_open = is_open and not opp["IsClosed"]
        drift = abs((amount or 0) - (opp["Amount"] or 0))
        if drift > max(0.01 * max(amount or 0, opp["Amount"] or 0), 1):
            found["D-01" if is_open else "D-02"].add(key)
        if abs(close.date() - date.fromisoformat(opp["CloseDate"])) >= timedelta(days=2):
            found["D-05"].add(key)
        if self.owner[p["hubspot_owner_id"]] != self.owner[opp["OwnerId"]]:
            found["D-09"].add(key)
        if both_open and mine in STAGE and STAGE[mine] != STAGE[theirs] and self.now - entered > timedelta(minutes=15):
            found["S-05"].add(key)
        if (is_open != (not opp["IsClosed"]) and old) or (not is_open and opp["IsClosed"] and STAGE[mine] != STAGE[theirs]):
            found["S-06"].add(key)

    def _history(self, key: str, path: list[tuple[str, datetime]]) -> None:
        done: set[str] = set()
        for i, (stage, entered) in enumerate(path):
            order = HS if stage in HS else SF if stage in SF else [stage]
            k = order.index(stage)
            back = i and k < order.index(path[i - 1][0]) and STAGE[path[i - 1][0]] < 4
            slip = i > 1 and stage == path[i - 2][0] and entered - path[i - 1][1] < timedelta(days=1)
            if back and not slip:
                self.found["S-07"].add(key)
            if k and STAGE[stage] < 5 and order[k - 1] not in done:
                self.found["S-09"].add(key)
            done.add(stage)
        if path and STAGE.get(path[-1][0], 0) < 4 and self.now - path[-1][1] > timedelta(days=self._limits.get(path[-1][0], 30.0)):
            self.found["D-11"].add(key)

    def _ping_pong(self, key: str, history: dict[str, list[dict[str, str]]]) -> None:
        for steps in history.values():
            for i in range(len(steps) - 3):
                a = steps[i : i + 4]
                values, writers = [s["value"] for s in a], [s["sourceId"] for s in a]
                quick = at(a[0]["timestamp"]) - at(a[3]["timestamp"]) <= timedelta(days=7)
                turns = all(values[j] != values[j + 1] and writers[j] != writers[j + 1] for j in range(3))
                if quick and turns and len(set(values)) == 2:
                    self.found["T-05"].add(key)

    def _twice(self) -> None:
        open_of = defaultdict(list)
        for o in self.opps.values():
            if not o["IsClosed"]:
                open_of[o["AccountId"]].append(o)
        for a, b in ((x, y) for rows in open_of.values() for i, x in enumerate(rows) for y in rows[i + 1 :]):
            near = abs(at(a["CreatedDate"]) - at(b["CreatedDate"])) <= timedelta(days=7)
            alike = SequenceMatcher(None, a["Name"], b["Name"]).ratio() >= 0.9
            if near and alike and abs(a["Amount"] - b["Amount"]) <= 0.01 * a["Amount"]:
                self.found["I-10"].update((a["Id"], b["Id"]))


@pytest.fixture(scope="module")
def small() -> World:
    return build(60, 7)


def planted(world: World, rule: str) -> list[set[str]]:
    return [{key for _, _, key in row["records"]} for row in world.truth["planted"] if row["rule"] == rule]


def test_same_size_seed_and_now_make_the_same_world(small: World) -> None:
    again = build(60, 7)
    assert json.dumps(again.seeds, sort_keys=True) == json.dumps(small.seeds, sort_keys=True)
    assert again.truth_json() == small.truth_json()
    assert build(60, 8).truth_json() != small.truth_json()


def test_planting_leaves_the_clean_people_as_they_are(small: World) -> None:
    clean = build(60, 7, plant_rate=0)
    assert len(clean.truth["people"]) == 60
    assert list(small.truth["people"][:60]) == clean.truth["people"]
    assert clean.truth["planted"] == clean.truth["decoys"] == []


@pytest.mark.parametrize(("size", "seed"), [(1, 1), (60, 7), (60, 8), (900, 3)])
def test_clean_world_raises_none_of_the_rules(size: int, seed: int) -> None:
    found = Seen(build(size, seed, plant_rate=0)).found
    assert {rule: keys for rule, keys in found.items() if keys} == {}


@pytest.mark.parametrize(("size", "seed", "now"), [(60, 7, NOW), (60, 8, "2026-11-23T10:53:12Z"), (900, 3, NOW)])
def test_every_planted_discrepancy_is_there_and_nothing_else(size: int, seed: int, now: str) -> None:
    world = build(size, seed, now)
    found = Seen(world).found
    for rule in RULES:
        cases = planted(world, rule)
        assert len(cases) >= 1, rule
        assert all(keys & found[rule] for keys in cases), f"{rule}: planted, not there"
        assert found[rule] <= set().union(*cases), f"{rule}: there, not planted"


def test_every_rule_has_a_near_miss(small: World) -> None:
    assert {row["rule"] for row in small.truth["decoys"]} >= set(RULES)
    assert all(row["records"] and row["note"] for row in small.truth["planted"] + small.truth["decoys"])


def test_plant_rate_sets_how_often_each_rule_is_planted() -> None:
    planted = build(60, 7, plant_rate=0.05).truth["planted"]
    counts = Counter(row["rule"] for row in planted if "about" not in row)  # the others are there once, with more records
    assert counts["D-01"] == 3
    assert min(counts.values()) == 3
    assert [len(row["records"]) for row in planted if row["rule"] == "G-01"] == [6]


def test_everything_in_the_truth_exists_in_the_seeds(small: World) -> None:
    hub, force, chimp = (small.seeds[v] for v in ("hubspot", "salesforce", "mailchimp"))
    known = {("hubspot", kind, row["id"]) for kind, rows in hub["objects"].items() for row in rows}
    known |= {("salesforce", kind, row["Id"]) for kind, rows in force["objects"].items() for row in rows}
    known |= {("mailchimp", "members", member_id(m["email_address"])) for rows in chimp["members"].values() for m in rows}
    mine = small.seeds["activecampaign"]
    known |= {("activecampaign", kind, row["id"]) for kind in ("contacts", "accounts", "deals") for row in mine[kind]}
    lists = [(person["id"], row["list"], row["id"]) for person in mine["contacts"] for row in person["lists"]]
    known |= {("activecampaign", "contactLists", ":".join(parts)) for parts in lists}
    known |= {("files", "leads", row["badge"]) for row in small.seeds["files"]["leads"]}
    known |= {("files", "deals", row["registration"]) for row in small.seeds["files"]["deals"]}
    truth = small.truth
    named = [r for part in ("people", "companies", "deals", "planted", "decoys") for row in truth[part] for r in row["records"]]
    assert {tuple(r) for r in named} <= known
    ids = [tuple(r) for row in truth["people"] for r in row["records"]]
    assert len(ids) == len(set(ids)), "a record belongs to one person"
    assert sum(row["deals"] for row in truth["funnel"]["deals"].values()) == len(truth["deals"]) >= 24
    reached = list(truth["funnel"]["reached"].values())
    assert reached == sorted(reached, reverse=True)


def test_seeds_have_the_shapes_the_emulators_load(small: World) -> None:
    hub, force, chimp = (small.seeds[v] for v in ("hubspot", "salesforce", "mailchimp"))
    assert set(hub) == {"owners", "pipelines", "properties", "objects", "associations", "events"}
    for row in (row for rows in hub["objects"].values() for row in rows):
        assert {"id", "properties", "createdAt", "updatedAt", "archived"} <= set(row)
        assert all(v is None or isinstance(v, str) for v in row["properties"].values())
        assert row["createdAt"] <= row["updatedAt"] <= NOW
        for steps in row.get("history", {}).values():
            assert [s["timestamp"] for s in steps] == sorted((s["timestamp"] for s in steps), reverse=True)
            assert all({"value", "timestamp", "sourceType", "sourceId"} == set(s) for s in steps)
    for kind, rows in force["objects"].items():
        assert len({row["Id"] for row in rows}) == len(rows), kind
        assert all(row["CreatedDate"] <= NOW for row in rows)
        assert all(row.get("SystemModstamp", "") <= NOW for row in rows)
    assert {f["name"] for f in force["fields"]["Opportunity"]} >= {"HubSpot_Id__c", "CurrencyIsoCode"}
    assert set(chimp) == {"lists", "members", "campaigns", "activity", "automations"}
    assert {c["id"] for c in chimp["campaigns"]} == set(chimp["activity"])
    assert all(row["timestamp"] <= NOW for rows in chimp["activity"].values() for row in rows)
    assert all(m["last_changed"] <= NOW for rows in chimp["members"].values() for m in rows)


def test_history_ends_at_the_present_value(small: World) -> None:
    hub, force = small.seeds["hubspot"]["objects"], small.seeds["salesforce"]["objects"]
    for row in [*hub["deals"], *hub["contacts"]]:
        for name, steps in row["history"].items():
            assert not steps or steps[0]["value"] == row["properties"][name]
    last: dict[str, Any] = {}
    for row in sorted(force["OpportunityHistory"], key=lambda r: r["CreatedDate"]):
        last[row["OpportunityId"]] = row
    assert {(o["Id"], o["StageName"], o["Amount"]) for o in force["Opportunity"]} == {
        (k, r["StageName"], r["Amount"]) for k, r in last.items()
    }


def test_links_between_the_crms_point_both_ways(small: World) -> None:
    hub, force = small.seeds["hubspot"]["objects"], small.seeds["salesforce"]["objects"]
    for kind, name, theirs in (
        ("contacts", "salesforcecontactid", "Contact"),
        ("contacts", "salesforceleadid", "Lead"),
        ("companies", "salesforceaccountid", "Account"),
        ("deals", "salesforceopportunityid", "Opportunity"),
    ):
        back = {row["Id"]: row["HubSpot_Id__c"] for row in force[theirs]}
        for row in hub[kind]:
            if (key := row["properties"][name]) and not row["archived"] and "merged_into" not in row:
                assert back[key] == row["id"]


def test_world_has_merged_and_archived_records_that_name_their_survivors(small: World) -> None:
    contacts = small.seeds["hubspot"]["objects"]["contacts"]
    losers = {c["id"]: c["merged_into"] for c in contacts if "merged_into" in c}
    assert losers
    assert all(loser in next(c for c in contacts if c["id"] == to)["properties"]["hs_merged_object_ids"] for loser, to in losers.items())
    assert any(c["archived"] for c in contacts)
    assert any(r["IsDeleted"] and r["MasterRecordId"] for r in small.seeds["salesforce"]["objects"]["Contact"])


def test_salesforce_ids_carry_the_right_checksum(small: World) -> None:
    assert sf_checksum("001D000000IqhSL") == "IAZ"
    assert sf_checksum("aaaaaaaaaaaaaaa") == "AAA"
    assert sf_checksum("AAAAAAAAAAAAAAA") == "555"
    assert sf_id("006", 61) != sf_id("006", 62)
    ids = [row["Id"] for rows in small.seeds["salesforce"]["objects"].values() for row in rows]
    assert all(len(i) == 18 and i[15:] == sf_checksum(i[:15]) for i in ids)


def test_addresses_are_invented(small: World) -> None:
    text = json.dumps(small.seeds)
    assert set(re.findall(r"@[\w.-]+\.(\w+)", text.lower())) == {"example"}


def test_contacts_only_gives_thirty_filled_properties_each() -> None:
    seed = contacts_only(500, 1)
    contacts = seed["objects"]["contacts"]
    assert len(contacts) == len({c["properties"]["email"] for c in contacts}) == 500
    assert all(len(c["properties"]) == 30 and all(isinstance(v, str) and v for v in c["properties"].values()) for c in contacts)
    assert contacts_only(500, 1) == seed
