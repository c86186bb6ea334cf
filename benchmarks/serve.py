"""The server of the benchmark, a process of its own: a vendor's emulator with a given number of rows (`served_<vendor>.py`).

    python benchmarks/serve.py hubspot 200000

Prints its address when it is ready and serves until it is ended. What it sends is the same bytes to everybody who asks.
"""

from __future__ import annotations

import signal
import sys
import threading
from importlib import import_module

from connectors.sandbox.kit import serve


def main(vendor: str, size: int) -> None:
    emulator = import_module(f"served_{vendor}").emulator(size)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with serve([emulator]) as urls:
        print(urls[vendor], flush=True)
        stop.wait()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
