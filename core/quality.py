"""What vendors say spoils their own counts: sampling, withheld rows, rare values folded together, an old cache.

Mappings carry such marks as attributes of tallies, each under its own name, because they mean different things. The lake
keeps them with every value, so this is a question and not a table of its own.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.lake import Lake

MARKS = {
    "sampled": "estimated from a sample",
    "thresholded": "rows of few users are withheld",
    "other_row": "rare values are folded into (other)",
    "stale": "from an older cache",
}
_MARK = """
SELECT account, resource AS report, '{mark}' AS mark, count(*) AS "values",
       arg_max(nullif(regexp_extract(attributes, '"sample":"([^"]*)"', 1), ''), day) AS sample,
       count(DISTINCT day) AS days, min(day) AS first_day, max(day) AS last_day
FROM tally WHERE NOT deleted AND regexp_matches(attributes, '"{mark}":"?true') GROUP BY ALL
"""
QUERY = f"""
SELECT m.account, m.report, m.mark, m."values", t."of", m.days, m.first_day, m.last_day,
       CASE WHEN m.mark = 'sampled' THEN m.sample END AS sample
FROM ({" UNION ALL ".join(_MARK.format(mark=mark) for mark in MARKS)}) m
JOIN (SELECT account, resource AS report, count(*) AS "of" FROM tally WHERE NOT deleted GROUP BY ALL) t USING (account, report)
ORDER BY m.account, m.report, m.mark
"""


def quality(lake: Lake, as_of: datetime | None = None) -> list[dict[str, Any]]:
    """By account, report and mark: how many of its values carry it, on how many days, from when to when, and what it means.

    `sample`: of sampled values the newest day's "read of all", in the vendor's own numbers.
    """
    return [{**row, "meaning": MARKS[row["mark"]]} for row in lake.sql(QUERY, as_of).to_pylist()]
