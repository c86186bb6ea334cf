"""sandbox: serve the emulators until stopped."""

from __future__ import annotations

import time
from pathlib import Path

import click


@click.command()
@click.option("--size", type=click.IntRange(min=1), default=60, show_default=True, help="People in the fictional company.")
@click.option("--seed", default=7, show_default=True, help="The same seed gives the same company.")
@click.option("--fault", "faults", multiple=True, help="What goes wrong: KIND[,OPTION=VALUE]... (repeatable).")
@click.option("--home", default=".tundish/sandbox", show_default=True, help="Where config, keys and truth are written.")
@click.option("--port", "ports", type=int, multiple=True, help="Ports, one per vendor in alphabetical order (default: free ones).")
@click.option("--truth", type=click.Path(dir_okay=False), help="Also write the ground truth to this file.")
@click.option("--for", "seconds", type=float, hidden=True, help="Stop by itself after so many seconds.")
def sandbox(
    size: int, seed: int, faults: tuple[str, ...], home: str, ports: tuple[int, ...], truth: str | None, seconds: float | None
) -> int:
    """Serve the vendors' emulators on loopback and print a ready config.

    \b
    Fault kinds:
      throttle  the vendor's own refusal; with retry_after=S it says how long to wait
      error     a page of a proxy with status=N (503 unless told) instead of an answer
      cut       the connection ends in the middle of the answer
      slow      seconds=S before the answer
      expire    tokens given so far are expired (HubSpot is then opened by OAuth)
      lag       a search index that is seconds=S behind (HubSpot)
      move      rows move between pages while they are read (HubSpot, Mailchimp, ActiveCampaign)
    Options: vendor=NAME, match=REGEX of the path, times=N (-1: for ever), after=N; counted per vendor.
    Examples:
      tundish sandbox
      tundish sandbox --size 1000 --seed 3
      tundish sandbox --fault throttle,match=search,times=5,retry_after=1 --fault cut,match=contacts
      tundish sandbox --fault expire,vendor=hubspot,after=20
    """
    from connectors.sandbox.kit import parse_faults
    from core.errors import UserError
    from jobs.play import emulator_classes, playground

    try:
        wanted = [parse_faults(f) for f in faults]
        for name in {f.vendor for f in wanted} - {"", *emulator_classes()}:
            raise ValueError(f"no vendor {name!r}; known: {', '.join(emulator_classes())}")
    except (TypeError, ValueError) as problem:
        raise UserError(f"--fault: {problem}", next_step="see `tundish sandbox --help`") from problem
    place = Path(home)
    with playground(place, size=size, seed=seed, faults=wanted, ports=ports) as play:
        for name, url in play.urls.items():
            click.echo(f"{name:12} {url}")
        if truth:
            Path(truth).write_text((place / "truth.json").read_text())
        click.echo(f"truth        {truth or place / 'truth.json'}")
        click.echo(f"config       {play.config}\n\nIn another terminal:  tundish --config {play.config} sync\nStop with Ctrl-C.")
        deadline = time.monotonic() + seconds if seconds else None
        while deadline is None or time.monotonic() < deadline:
            time.sleep(0.2)
    return 0
