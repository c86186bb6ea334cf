"""What a vendor said of a day, and what it says now: every tally whose value changed after it was first read.

The lake keeps all versions, so this is a question and not a table of its own.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa

from core.lake import Lake

# A first version counts when its day had been read before: the value came out of nothing.
QUERY = """
SELECT account, resource AS report, day, measure, dimensions, CASE WHEN NOT was_deleted THEN was END AS old,
       CASE WHEN NOT deleted THEN value END AS new, was_seen AS old_seen_at, observed_at AS new_seen_at
FROM (SELECT *, lag(value) OVER mine AS was, lag(deleted) OVER mine AS was_deleted, lag(observed_at) OVER mine AS was_seen,
             first_value(run_id) OVER (PARTITION BY account, resource, day ORDER BY version) AS first_run
      FROM tally_versions WINDOW mine AS (PARTITION BY account, resource, vendor_id ORDER BY version))
WHERE (was_seen IS NULL AND run_id <> first_run) OR (was_seen IS NOT NULL AND (value IS DISTINCT FROM was OR deleted <> was_deleted))
ORDER BY new_seen_at DESC, account, report, day DESC, measure, dimensions
"""


_COUNTED = f"""
SELECT r.account, r.report, 'restated' AS mark, count(*) AS "values", any_value(t."of") AS "of", count(DISTINCT r.day) AS days,
       min(r.day) AS first_day, max(r.day) AS last_day, NULL AS sample
FROM ({QUERY}) r
JOIN (SELECT account, resource AS report, count(*) AS "of" FROM tally WHERE NOT deleted GROUP BY ALL) t USING (account, report)
GROUP BY ALL ORDER BY r.account, r.report
"""


def restated(lake: Lake, as_of: datetime | None = None) -> list[dict[str, Any]]:
    """Like `core.quality.quality`: by account and report, how many of its values the vendor changed after they were first read."""
    return [{**row, "meaning": "changed by the vendor after it was first read"} for row in lake.sql(_COUNTED, as_of).to_pylist()]


def restatements(lake: Lake, as_of: datetime | None = None) -> pa.Table:
    """Newest first: account, report, day, measure, dimensions, old, new (None: no such row), and when each was seen."""
    return lake.sql(QUERY, as_of)
