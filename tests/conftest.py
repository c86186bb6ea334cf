"""Fixtures of the tests that go through the sandbox: a small world, its served emulators, and a hub over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """`stand(vendors=[...], size=8)` → a `sandbox_hub.Standing` that ends with the test."""
    from sandbox_hub import standing

    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(standing(tmp_path, **options))
