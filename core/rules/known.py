"""Is the evidence readable at all? A rule about what is missing looks only where the vendor and the mapping give the field."""

from __future__ import annotations

import ibis

_PLACE = ["account", "resource"]


def told(t: ibis.Table, column: str) -> ibis.Table:
    """The rows of accounts and objects in which at least one row has a value in the column."""
    giving = t.filter(t[column].notnull()).select(*_PLACE).distinct()
    return t.semi_join(giving, _PLACE)
