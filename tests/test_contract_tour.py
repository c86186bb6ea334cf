"""The contract tour: what every connector must do, shown against its emulator. A connector joins by existing."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
from ruamel.yaml import YAML
from sandbox_hub import VENDORS, Standing, contents, held, live_records, own_id, standing

from connectors.sandbox.kit import Fault, Reply, Request
from core.connector import Target, Write
from core.errors import CredentialsError, TundishError
from core.http import ReadOnlyError
from jobs.contract import exemptions
from jobs.play import emulator_classes
from jobs.steps import SyncResult, run_sync
from jobs.wiring import all_connectors

Stand = Callable[..., Standing]
E_MAIL = re.compile(r"[\w.+-]+(@|%40)[\w-]+\.\w+")


SHIPPED = {v: YAML(typ="safe").load(Path(f"mappings/{v}.yaml")) for v in VENDORS}
EVENTS = {v: [t for t in all_connectors()[v].targets if t.kind == "events" and t.name in SHIPPED[v].get("events", ())] for v in VENDORS}


def toured_at(level: str) -> list[str]:
    """The vendors to whom this level of the contract applies."""
    return [v for v in VENDORS if not exemptions(all_connectors()[v], emulator_classes()[v])[level]]


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=toured_at("wire"))
def wired(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=toured_at("fields"))
def writable(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=toured_at("events"))
def told(request: pytest.FixtureRequest) -> str:
    """A vendor that takes events."""
    return str(request.param)


@cache
def undisturbed(vendor: str) -> tuple[dict[Any, Any], int, int]:
    """What a first sync without trouble leaves: contents, versions, and the requests it took."""
    with TemporaryDirectory() as home, standing(Path(home), vendors=[vendor]) as sandbox:
        assert run_sync(sandbox.hub, quiet=True).status == "done"
        return *held(sandbox.hub), sandbox.requests()


@cache
def written_fields(vendor: str) -> dict[str, str]:
    """resource → a plain text field of its records that the mapping reads and the vendor lets us write, as a target calls it."""
    found = {}
    mapping = YAML(typ="safe").load(Path(f"mappings/{vendor}.yaml"))
    for resource, outputs in mapping["resources"].items():
        for output in outputs if isinstance(outputs, list) else [outputs]:
            path = output.get("fields", {}).get("first_name" if output["kind"] == "person" else "name")
            if isinstance(path, str):
                found.setdefault(resource, path.rpartition(".")[2])
    return found


# Targets of one status that only ever gets stricter have tests of their own.
FIELDS = {v: [t for t in all_connectors()[v].targets if t.kind == "fields" and t.resource in written_fields(v)] for v in VENDORS}


def own_ids(records: set[tuple[str, str, str]]) -> set[tuple[str, str]]:
    """(resource, the vendor's own id)."""
    return {(resource, own_id(vendor_id)) for _, resource, vendor_id in records}


def ids_of(sandbox: Standing, vendor: str, resource: str) -> list[str]:
    """Live records of a vendor's resource that may be written: converted ones are read-only everywhere."""
    people = sandbox.hub.lake.current("person")
    converted = set(people.filter(people.converted).vendor_id.to_pyarrow().to_pylist())
    live = live_records(sandbox.hub, ("person", "company", "deal", "campaign"))
    return sorted(key[2] for key in live if key[:2] == (vendor, resource) and key[2] not in converted)


def edit(sandbox: Standing, vendor: str, target: Target, ids: list[str], value: str | None) -> None:
    """Change a mapped field of some records at the vendor, through its own interface."""
    name = written_fields(vendor)[target.resource]
    with sandbox.hub.account(vendor, writes=True) as opened:
        assert [r for r in target.write(opened.session, [Write(i, i, {name: value}) for i in ids]) if not r.ok] == []


def sync(sandbox: Standing) -> SyncResult:
    return run_sync(sandbox.hub, quiet=True)


def reasons(result: SyncResult) -> list[str]:
    unread = [f"{c.resource}: {c.status} {c.reason}" for c in result.counts if c.status != "done"]
    return unread + [str(problem) for problem in result.problems.values()]


# -- the vendor is there ---------------------------------------------------------------------------------------------------
def test_every_connector_has_an_emulator_and_every_emulator_a_connector() -> None:
    assert sorted(all_connectors()) == sorted(emulator_classes())


def test_the_probe_is_one_cheap_sentence_about_the_account(vendor: str, toured: dict[str, Standing]) -> None:
    sandbox = toured[vendor]
    with sandbox.hub.account(vendor) as opened:
        before = sandbox.requests()
        sentence = opened.connector.probe(opened.session)
    assert len(sentence) > 10
    assert sandbox.requests() - before <= 3  # one may look up what a setting names, such as a stream


def test_a_wrong_credential_is_told_by_its_setting_and_never_shown(wired: str, stand: Stand) -> None:
    vendor, sandbox = wired, stand(vendors=[wired])
    secrets = [s.name for s in all_connectors()[vendor].settings if s.secret and (sandbox.home / f"secrets/{vendor}.{s.name}").exists()]
    assert secrets
    for name in secrets:
        place = sandbox.home / f"secrets/{vendor}.{name}"
        right = place.read_text()
        place.write_text(f"wrong-{right}")
        with pytest.raises(CredentialsError) as caught, sandbox.hub.account(vendor) as opened:
            opened.connector.probe(opened.session)
        assert name in str(caught.value)
        assert right not in str(caught.value)
        place.write_text(right)


# -- reading ---------------------------------------------------------------------------------------------------------------
FAULTS = {  # each request number is within the first dozen, which every vendor's sync takes
    "refused": [
        Fault("throttle", times=3, after=2, retry_after="7"),
        Fault("error", times=3, after=6, status=503),
        Fault("error", times=2, after=9, status=500),
    ],
    "throttled_without_a_wait_and_expired": [
        Fault("expire", times=1, after=3),
        Fault("throttle", times=3, after=6),
        Fault("expire", times=1, after=11),
    ],
    "cut_off_and_slow": [
        Fault("cut", times=2, after=3),
        Fault("cut", times=1, after=8),
        Fault("slow", times=3, after=2, seconds=0.03),
    ],
}


@pytest.mark.parametrize("trouble", FAULTS)
def test_trouble_on_the_wire_changes_nothing_in_the_lake(wired: str, trouble: str, stand: Stand) -> None:
    vendor, sandbox = wired, stand(vendors=[wired])
    sandbox.emulators[vendor].faults.extend(Fault(**vars(f)) for f in FAULTS[trouble])
    result = sync(sandbox)
    assert (result.status, reasons(result)) == ("done", [])
    assert all(f.times == 0 for f in sandbox.emulators[vendor].faults)
    assert held(sandbox.hub) == undisturbed(vendor)[:2]


@pytest.mark.parametrize("status", [403, 500])
def test_a_resource_that_cannot_be_read_leaves_the_run_partial_and_is_named(wired: str, status: int, stand: Stand) -> None:
    vendor, sandbox = wired, stand(vendors=[wired])
    sandbox.emulators[vendor].faults.append(Fault("error", times=-1, after=undisturbed(vendor)[2] // 2, status=status))
    result = sync(sandbox)
    assert (result.status, result.exit_code) == ("partial", 3)
    assert any(c.status == "done" for c in result.counts)
    assert all(c.reason for c in result.counts if c.status != "done")
    sandbox.emulators[vendor].faults.clear()
    healed = sync(sandbox)
    assert (healed.status, reasons(healed)) == ("done", [])
    assert contents(sandbox.hub) == undisturbed(vendor)[0]


def test_a_page_that_makes_no_sense_leaves_the_run_partial_and_the_next_run_complete(wired: str, stand: Stand) -> None:
    vendor, sandbox = wired, stand(vendors=[wired])
    emulator = sandbox.emulators[vendor]
    garble_one_page(emulator, after=undisturbed(vendor)[2] // 2)
    result = sync(sandbox)
    assert (result.status, result.exit_code) == ("partial", 3)
    assert [c.reason for c in result.counts if c.status != "done" and not c.reason] == []
    healed = sync(sandbox)
    assert (healed.status, reasons(healed)) == ("done", [])
    assert contents(sandbox.hub) == undisturbed(vendor)[0]


def garble_one_page(emulator: Any, after: int) -> None:
    """The reply to request number `after` says 200 and is half a JSON document."""
    honest, left = emulator.decorate, [after]

    def decorate(request: Request, reply: Reply) -> Reply:
        left[0] -= 1
        reply = honest(request, reply)
        return Reply(b'{"results": [{"id": ', 200) if left[0] == 0 else reply

    emulator.decorate = decorate


# -- writing ---------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def toured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Standing]]:
    """All vendors, synced once; for tests that need ids and leave records as they found them."""
    with standing(tmp_path_factory.mktemp("toured")) as sandbox:
        assert run_sync(sandbox.hub, quiet=True).status == "done"
        yield dict.fromkeys(VENDORS, sandbox)


def test_a_read_only_session_refuses_writes_before_any_byte(writable: str, toured: dict[str, Standing]) -> None:
    vendor, sandbox = writable, toured[writable]
    before = sandbox.writes()
    with sandbox.hub.account(vendor) as opened:
        for target in FIELDS[vendor]:
            [vendor_id, *_] = ids_of(sandbox, vendor, target.resource)
            with pytest.raises(ReadOnlyError):
                list(target.write(opened.session, [Write("k", vendor_id, {written_fields(vendor)[target.resource]: "Nobody"})]))
    assert sandbox.writes() == before


def test_what_is_written_can_be_read_back_and_cleared(writable: str, toured: dict[str, Standing]) -> None:
    vendor, sandbox = writable, toured[writable]
    with sandbox.hub.account(vendor, writes=True) as opened:
        for target in FIELDS[vendor]:
            pushed = [p for p in sandbox.hub.setup.mappings[vendor].push if p.owned and p.type == "text"]
            push = min(pushed, key=lambda p: p.target != target.name)  # one of its own, else one like another target's
            field = replace(push.as_field(), target=target.name)
            if target.ensure:
                target.ensure(opened.session, [field])
                assert list(target.ensure(opened.session, [field])) == []
            ids = ids_of(sandbox, vendor, target.resource)[:3]
            for value in ("Proposing", None):
                results = list(target.write(opened.session, [Write(f"w{i}", i, {push.field: value}) for i in ids]))
                assert {(r.key, r.ok) for r in results} == {(f"w{i}", True) for i in ids}
                assert target.read_back(opened.session, ids, [push.field]) == {i: {push.field: value} for i in ids}


def test_a_record_that_is_not_there_fails_alone(writable: str, toured: dict[str, Standing]) -> None:
    vendor, sandbox = writable, toured[writable]
    with sandbox.hub.account(vendor, writes=True) as opened:
        for target in FIELDS[vendor]:
            name, ids = written_fields(vendor)[target.resource], ids_of(sandbox, vendor, target.resource)
            one, other, ghost = ids[0], ids[-1], ids[0][:-7] + "9999" + ids[0][-3:]
            was = target.read_back(opened.session, [one, other, ghost], [name])
            assert set(was) == {one, other}
            same = [Write(i, i, {name: was.get(i, {}).get(name) or "Nobody"}) for i in (one, ghost, other)]
            results = {r.key: r for r in target.write(opened.session, same)}
            assert {key: r.ok for key, r in results.items()} == {one: True, ghost: False, other: True}
            assert results[ghost].message


# -- events ----------------------------------------------------------------------------------------------------------------
def an_event(sandbox: Standing, vendor: str, target: Target) -> Write:
    """The first event the shipped mapping tells this target, of a visitor the vendor knows, an hour ago."""
    name = next(iter(SHIPPED[vendor]["events"][target.name]))
    at = (sandbox.clock.utc() - timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    values = {"event": name, "id": str(uuid5(NAMESPACE_URL, f"{vendor}/{name}")), "occurred_at": at, "value": "1200.50", "currency": "EUR"}
    return Write("k1", sandbox.emulators[vendor].visitor(), values)


def test_a_read_only_session_tells_no_event(told: str, toured: dict[str, Standing]) -> None:
    sandbox = toured[told]
    before = sandbox.writes()
    with sandbox.hub.account(told) as opened:
        for target in EVENTS[told]:
            with pytest.raises(ReadOnlyError):
                list(target.write(opened.session, [an_event(sandbox, told, target)]))
    assert sandbox.writes() == before


def test_an_event_is_counted_once_and_again_only_where_the_vendor_cannot_tell(told: str, stand: Stand) -> None:
    sandbox = stand(vendors=[told])
    with sandbox.hub.account(told, writes=True) as opened:
        for target in EVENTS[told]:
            event = an_event(sandbox, told, target)
            before = sandbox.emulators[told].heard(event.vendor_id, event.values["event"])
            for sent in (1, 2):
                assert [(r.key, r.ok) for r in target.write(opened.session, [event])] == [("k1", True)]
                counted = sandbox.emulators[told].heard(event.vendor_id, event.values["event"]) - before
                assert counted == (1 if target.idempotent else sent)


def test_a_lost_reply_to_an_event_that_would_count_twice_is_not_asked_again(told: str, stand: Stand) -> None:
    sandbox = stand(vendors=[told])
    with sandbox.hub.account(told, writes=True) as opened:
        for target in EVENTS[told]:
            event = an_event(sandbox, told, target)
            before = sandbox.emulators[told].heard(event.vendor_id, event.values["event"])
            garble_replies_to_writes(sandbox, told)
            with suppress(TundishError):
                list(target.write(opened.session, [event]))
            assert sandbox.emulators[told].heard(event.vendor_id, event.values["event"]) - before <= 1


def garble_replies_to_writes(sandbox: Standing, vendor: str) -> None:
    """Every write is taken and its answer cut off."""
    emulator = sandbox.emulators[vendor]
    honest, safe = emulator.decorate, re.compile("|".join(all_connectors()[vendor].safe_posts) or "(?!)")

    def decorate(request: Request, reply: Reply) -> Reply:
        reply = honest(request, reply)
        if request.method == "POST" and not safe.search(request.path):
            reply.headers = {**reply.headers, "content-length": "4096"}
            reply.body, reply.status, reply.cut_at = b"{" * 2048, 200, 1
        return reply

    emulator.decorate = decorate  # type: ignore[method-assign]


# -- silence -----------------------------------------------------------------------------------------------------------------
def test_no_secret_and_no_address_is_ever_logged(vendor: str, stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    sandbox = stand(vendors=[vendor])
    secrets = [place.read_text() for place in (sandbox.home / "secrets").iterdir()]
    sandbox.emulators[vendor].faults += [Fault("throttle", times=2, after=6), Fault("error", times=2, after=12)]
    with caplog.at_level(logging.DEBUG, logger="tundish"):
        sync(sandbox)
        for target in FIELDS[vendor]:
            edit(sandbox, vendor, target, ids_of(sandbox, vendor, target.resource)[:2], "Quiet")
    lines = [record.getMessage() + (record.exc_text or "") for record in caplog.records]
    assert len(lines) > (10 if sandbox.emulators[vendor].wired else 2)  # without a wire no request is logged
    assert [line for line in lines if E_MAIL.search(line)] == []
    assert [line for line in lines if any(secret in line for secret in secrets)] == []
