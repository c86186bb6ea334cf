"""Who is in no number at all, counted once for the head of every report: colleagues and tests, and stages that no mapping names."""

from __future__ import annotations

from typing import Any

import ibis
import pyarrow as pa

from core.compiled import Compiled
from core.pipeline import Understanding

_COUNTS = pa.schema([(name, pa.int64()) for name in ("persons", "colleagues", "persons_unmapped", "deals", "deals_unmapped")])


def left_out(found: Understanding, compiled: Compiled) -> list[dict[str, Any]]:
    """(what, n, of), those of which there are any."""
    person, deal = found.facts["person"], found.facts["deal"]
    [row] = compiled.rows("left_out", lambda: _counted(person, deal), _COUNTS).to_pylist()
    counts = (
        ("persons (colleagues and tests)", "colleagues", "persons"), ("persons in a stage no mapping names", "persons_unmapped", "persons"),
        ("deals in a stage no mapping names", "deals_unmapped", "deals"),
    )  # fmt: skip
    return [{"what": what, "n": row[n], "of": row[of]} for what, n, of in counts if row[n]]


def _counted(person: ibis.Table, deal: ibis.Table) -> ibis.Table:
    people = person.agg(
        persons=person.count(), colleagues=person.excluded.fill_null(False).sum().fill_null(0),
        persons_unmapped=(person.unmapped & ~person.excluded).fill_null(False).sum().fill_null(0),
    )  # fmt: skip
    deals = deal.agg(deals=deal.count(), deals_unmapped=deal.unmapped.fill_null(False).sum().fill_null(0))
    return people.cross_join(deals).select(*_COUNTS.names)
