"""plan, plans, apply, undo and audit as people use them to review: choose, note, compare, approve in parts, take back, account for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sandbox_hub import Said, Standing, standing, tundish


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    with standing(tmp_path_factory.mktemp("plans"), size=12, vendors=["hubspot", "salesforce", "mailchimp"]) as it:
        assert tundish("--config", it.config, "sync").code == 0
        yield it


@pytest.fixture(scope="module")
def say(sandbox: Standing) -> Any:
    def said(*words: str, answer: str = "") -> Said:
        return tundish("--config", sandbox.config, *words, answer=answer)

    return said


@pytest.fixture(scope="module")
def plan(say: Any) -> dict[str, Any]:
    made = say("plan", "--json")
    assert made.code == 0, made.err
    return made.json
