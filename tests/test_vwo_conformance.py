"""The vendor's own SDK tells an event to the emulator: what it sends is taken and counted, and ours has the same shape."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from typing import Any

import pytest
from vwo_workspace import START, WORKSPACE, campaign, seed

from connectors.sandbox.kit import Clock, Reply, Request, Route, serve
from connectors.sandbox.vwo import VwoEmulator
from connectors.vwo import CONNECTOR
from core.connector import Write
from core.http import Transport

SDK = "vwo-fme-python-sdk"
WANTED = os.environ.get("CI") == "true" and sys.version_info < (3, 13)  # its murmurhash has no wheels for later Pythons
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("vwo") is None and not WANTED, reason=f"{SDK} is not installed (group conformance)"
)
# In a process of its own: the SDK starts threads, and its polling would outlive the test.
TELLS = """
import json, os, sys, threading
import vwo
url, account = sys.argv[1], int(sys.argv[2])
client = vwo.init({"sdk_key": "0123456789abcdef", "account_id": account, "proxy_url": url, "poll_interval": 3_600_000})
told = client.track_event("tundish_sale", {"id": "user-1"}, {"revenue": 17.5})
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join(timeout=2)
print(json.dumps({"told": told, "visitor": vwo.getUUID("user-1", str(account))}))
sys.stdout.flush()
os._exit(0)
"""


class WithSettings(VwoEmulator):
    """The emulator with what an SDK needs to start: the settings of a project in which one event is the metric of a feature."""

    def routes(self) -> list[Route]:
        # https://developers.vwo.com/v2/docs/fme-python-initialization : fetched by every SDK, with the SDK key
        return [*super().routes(), Route("GET", "/server-side/v2-settings", self._settings)]

    def _settings(self, request: Request) -> Reply:
        metric = {"id": 1, "type": "CUSTOM_GOAL", "identifier": "tundish_sale"}
        feature = {
            "id": 1,
            "key": "f",
            "name": "F",
            "type": "FEATURE_FLAG",
            "status": "ON",
            "metrics": [metric],
            "rules": [],
            "impactCampaign": {},
        }
        settings = {
            "version": 1,
            "accountId": WORKSPACE,
            "sdkKey": "0123456789abcdef",
            "features": [feature],
            "campaigns": [],
            "groups": {},
            "campaignGroups": {},
        }
        return Reply(settings)


def captured(emulator: VwoEmulator) -> list[Any]:
    """What is told from now on of our event: (query, message)."""
    heard: list[Any] = []
    honest = emulator.decorate

    def decorate(request: Request, reply: Reply) -> Reply:
        if request.path == "/events/t" and request.q("en") == "tundish_sale":
            heard.append((request.query, request.json()))
        return honest(request, reply)

    emulator.decorate = decorate  # type: ignore[method-assign]
    return heard


def test_the_vendors_sdk_is_understood_and_we_speak_as_it_does() -> None:
    emulator = WithSettings(seed(campaign(1), events={"tundish_sale": []}), clock=Clock(START.timestamp()))
    heard = captured(emulator)
    with serve([emulator]) as urls:
        run = subprocess.run(
            [sys.executable, "-c", TELLS, urls["vwo"], str(WORKSPACE)], capture_output=True, text=True, timeout=60, check=True
        )
        said = json.loads(run.stdout.splitlines()[-1])
        assert said["told"] == {"tundish_sale": True}
        assert emulator.heard(said["visitor"], "tundish_sale") == 1
        transport = Transport("vwo", buckets=CONNECTOR.buckets, fault=CONNECTOR.fault, writes=True, sleep=lambda s: None)
        with transport:
            session = CONNECTOR.open({**emulator.settings(urls["vwo"]), "token": next(iter(emulator.tokens))}, transport)
            values = {"event": "tundish_sale", "id": "m", "occurred_at": "2026-06-30T08:00:00Z", "value": "17.5", "currency": "EUR"}
            assert [r.ok for r in CONNECTOR.target("events").write(session, [Write("k", said["visitor"], values)])] == [True]
        assert emulator.heard(said["visitor"], "tundish_sale") == 2
    (theirs, their_message), (ours, our_message) = heard
    assert {"en", "a", "eTime"} <= set(ours) <= set(theirs)
    assert set(our_message["d"]) == {"msgId", "visId", "sessionId", "event", "visitor"} <= set(their_message["d"])
    assert set(our_message["d"]["event"]) == set(their_message["d"]["event"])
    assert [type(m["d"]["event"]["time"]) for m in (our_message, their_message)] == [int, int]
    assert [m["d"]["event"]["props"]["revenue"] for m in (our_message, their_message)] == [17.5, 17.5]
