"""Instants as people type them on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

import click


class Instant(click.ParamType):  # type: ignore[type-arg]  # generic only in late versions of click
    """A day or an instant in ISO 8601; without an offset it is UTC. Always aware."""

    name = "instant"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "[YYYY-MM-DD[Thh:mm[:ss]][Z|±hh:mm]]"

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            read = datetime.fromisoformat(value.strip())
            return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
        except (ValueError, OverflowError):  # the first and last day of the calendar may lie beyond it in UTC
            self.fail(f"{value!r} is no instant; write 2026-06-01, 2026-06-01T09:30 (UTC), 2026-06-01T09:30:00Z or …+02:00", param, ctx)
