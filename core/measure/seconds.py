"""Instants as whole seconds since 1970: windows over many touches are cheap on them."""

from __future__ import annotations

import ibis

DAY_S = 86_400


def seconds(at: ibis.Value) -> ibis.Value:
    return at.epoch_seconds().cast("int64")  # Ibis calls it a 32-bit number, which unions take for another type
