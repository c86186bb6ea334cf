"""thaw."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from jobs.cli import emit


@click.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def thaw(obj: dict[str, Any], ids: tuple[str, ...], as_json: bool) -> int:
    """Let fields be written again that were frozen because two writers alternate on them (T-05). ID: an entity, a finding or a record.

    \b
    Examples:
      tundish thaw                      what is frozen
      tundish thaw dea_ccd2cbb8eb31fca6
    """
    from jobs.thaw import chosen, frozen_fields, thaw_fields, thaw_text
    from jobs.wiring import open_hub

    with open_hub(obj["config"]) as hub:
        frozen = frozen_fields(hub)
        if ids:
            frozen = chosen(frozen, ids)
            thaw_fields(hub, frozen)
        emit({"frozen" if not ids else "thawed": [asdict(one) for one in frozen]}, as_json, thaw_text(frozen, bool(ids)))
        return 0
