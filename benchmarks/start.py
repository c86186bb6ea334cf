"""What a command costs before it does anything, and what a plan costs the first time and every other time, in a small sandbox.

    .venv/bin/python benchmarks/start.py

Processor time is user and system together; wall time is the best of several, as a busy machine only ever adds to it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from jobs.play import playground

TURNS = 10


def cost(words: Sequence[str]) -> tuple[float, float]:
    """(wall, processor) seconds of one command in a process of its own."""
    wall, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, "-m", "jobs.cli", *words], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - wall, used


def main() -> None:
    helps = [cost(["--help"]) for _ in range(TURNS)]
    show("--help", min(wall for wall, _ in helps), min(used for _, used in helps))
    with TemporaryDirectory() as home, playground(Path(home), size=60) as sandbox:
        for name in ("sync", "sync", "plan", "plan", "plan"):
            show(name, *cost(["--config", str(sandbox.config), name]))


def show(name: str, wall: float, used: float) -> None:
    print(f"tundish {name:<8} {wall:6.2f} s wall {used:6.2f} s processor", flush=True)


if __name__ == "__main__":
    main()
