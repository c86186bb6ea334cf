"""A lake in an object store: the whole line over it, and what is said when the store refuses or is away."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bucket import bucket
from deltalake import DeltaTable
from sandbox_hub import standing, tundish
from test_lake import rows

from core.errors import CredentialsError, TundishError, UserError, VendorUnavailable
from core.lake import Lake
from core.ledger import Ledger
from core.storage import trouble


def environment(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    settings = {
        "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_REGION": "eu-central-1", "AWS_ENDPOINT_URL": address,
        "AWS_ALLOW_HTTP": "true",
    }  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


def test_the_line_runs_over_a_lake_in_an_object_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with bucket() as (address, objects), standing(tmp_path, size=3, vendors=["mailchimp"]) as sandbox:
        environment(monkeypatch, address)
        config = tmp_path / "remote.yaml"
        config.write_text(sandbox.config.read_text().replace("lake: state/lake", "lake: s3://any/hub").replace("ledger.db", "remote.db"))
        assert tundish("--config", config, "sync", "--json").code == 0
        assert any(key.startswith("hub/person/_delta_log/") for key in objects)
        again = tundish("--config", config, "sync", "--json")
        assert sum(c["appended"] for c in again.json["records"]) == 0
        query = ("sql", "select count(*) n, count(distinct vendor_id) ids from person", "--json")
        people = tundish("--config", config, *query).json["rows"]
        assert people[0]["n"] == people[0]["ids"] > 0
        secret = tundish("--config", config, "sql", f"select * from read_text('{config}')")
        assert secret.code == 2, secret.out
        assert tundish("--config", config, "plan", "--json").json["changes"]
        assert tundish("--config", config, "compact", "--json").code == 0
        assert tundish("--config", config, *query).json["rows"] == people


def test_two_writers_at_once_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with bucket() as (address, _):
        environment(monkeypatch, address)
        ledger = Ledger(tmp_path / "ledger.db")
        lakes = [Lake("s3://any/hub", ledger, memory="200MB", threads=1) for _ in range(2)]
        lakes[0].append("person", rows(1, ["0"]))
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda lake: [lake.append("person", rows(2, [f"{id(lake)}-{n}"])) for n in range(3)], lakes))
        table = DeltaTable("s3://any/hub/person").to_pyarrow_table(columns=["vendor_id"])
        assert len(set(table["vendor_id"].to_pylist())) == table.num_rows == 7
        for lake in lakes:
            lake.close()
        ledger.close()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (
            "Error performing PUT http://169.254.169.254/latest/api/token in 5ms - Server returned non-2xx status code\n ↳ 403 Forbidden",
            CredentialsError,
        ),
        ("Error performing GET https://b.s3.amazonaws.com/x - Client error with status 403 Forbidden: AccessDenied", CredentialsError),
        ("Error performing PUT https://s3.amazonaws.com/b/x - Client error with status 404: <Code>NoSuchBucket</Code>", UserError),
        (
            "Error performing GET http://127.0.0.1:5998/b, after 10 retries - tcp connect error\n ↳ Connection refused (os error 111)",
            VendorUnavailable,
        ),
    ],
)
def test_a_store_s_trouble_is_told_to_whom_it_concerns(said: str, kind: type[TundishError]) -> None:
    told = trouble(OSError(f"Kernel error -> Generic S3 error\n \x1b[31m↳ \x1b[0m {said}"))
    assert type(told) is kind
    assert "\x1b" not in str(told)
