"""A pulled lake, multiplied: every copy of a record has ids, addresses, domains and names of its own.

What an organisation has once stays once: owners, pipelines, campaigns, experiments. Counts of visitors are multiplied.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from core.lake import Lake
from core.lake_schema import BATCH_SHIFT, SYSTEM, record_schema
from core.ledger import Commit, Count, Ledger
from core.model import KINDS
from jobs.wiring import open_hub

ONCE = frozenset({"owner", "stage_definition", "campaign", "experiment", "tally"})
_SHARED = frozenset({"owner_id", "campaign_id", "pipeline_id", "list_id"})  # ids of what is there once
_NAMES = frozenset({"last_name", "company_name"})
BATCH_ROWS = 500_000
FREE_MAIL = ("gmail.com", "gmx.de", "web.de", "outlook.com", "hotmail.com", "yahoo.com", "icloud.com")


def mark(copy: int) -> str:
    """What a copy's ids end in; the first copy is the original."""
    return f"~{copy}" if copy else ""


def copied_plants(plants: Sequence[Mapping[str, Any]], copies: int) -> Iterator[dict[str, Any]]:
    """The planted cases of all copies. What is wrong once is so once, with the records of all copies."""
    for plant in plants:
        rows = [{"rule": plant["rule"], "records": [[r[0], r[1], f"{r[2]}{mark(n)}"] for r in plant["records"]]} for n in range(copies)]
        yield from [{"rule": plant["rule"], "records": [r for row in rows for r in row["records"]]}] if plant.get("about") else rows


def multiply(config: Path, copies: int, kinds: Collection[str] = tuple(KINDS)) -> int:
    """Write `grown.yaml` beside the config, with a lake and a ledger of so many copies; returns how many records they hold."""
    home = config.parent / "grown"
    shutil.rmtree(home, ignore_errors=True)
    text = config.read_text().replace("lake: state/lake", "lake: grown/lake").replace("ledger: state/ledger.db", "ledger: grown/ledger.db")
    (config.parent / "grown.yaml").write_text(text)
    rows = 0
    with open_hub(config) as source, open_hub(config.parent / "grown.yaml") as target:
        now = source.clock()
        run_id = target.ledger.start_run("sync", now)
        for kind in kinds:
            if source.lake.relation(source.lake.connect(), kind) is not None:
                rows += _multiplied(kind, source.lake, target.lake, target.ledger, run_id, copies, now)
        target.ledger.end_run(run_id, "done", now)
    return rows


def _multiplied(kind: str, source: Lake, target: Lake, ledger: Ledger, run_id: str, copies: int, now: Any) -> int:
    engine = source.connect(memory="4GB")
    relation = source.relation(engine, kind)
    size = engine.execute(f"SELECT count(*) FROM {relation}").fetchall()[0][0]
    last = 1 if kind in ONCE else copies
    step = max(1, BATCH_ROWS // max(1, size))
    for first in range(0, last, step):
        batch_id = ledger.open_batch(run_id, "copies", kind, now)
        query = f"""SELECT {_columns(kind, copies)},
                    ({batch_id}::BIGINT << {BATCH_SHIFT}) + row_number() OVER (ORDER BY n, version) AS version, content_hash,
                    {batch_id}::BIGINT AS batch_id, '{run_id}' AS run_id
                    FROM {relation}, (SELECT unnest(range({first}, {min(last, first + step)})) AS n)"""
        table = engine.execute(query).to_arrow_table()
        target.append(kind, table.cast(_schema(kind, table)))
        ledger.commit_batch(batch_id, Commit(table.num_rows, Count(run_id, "copies", kind, status="done")), now)
    engine.close()
    return int(size * last)


def _schema(kind: str, table: pa.Table) -> pa.Schema:
    schema = record_schema(kind)
    return pa.schema([schema.field(name) if schema.get_field_index(name) >= 0 else table.schema.field(name) for name in table.column_names])


def _columns(kind: str, copies: int) -> str:
    own = {f.name for f in SYSTEM}
    return ", ".join(f'{_column(kind, name, copies)} AS "{name}"' for name in record_schema(kind).names if name not in own)


def _column(kind: str, name: str, copies: int) -> str:
    """SQL of one column in copy `n`."""
    if kind in ONCE:
        return f'"value" * {copies}' if kind == "tally" and name == "value" else f'"{name}"'
    if name in ("merged_ids", "links"):
        return _each(name, "x || m.mark")
    if name == "other_emails":
        return _each(name, _email("x"))
    if name == "email":
        return _copy(_email('"email"'), name)
    if name == "domain":
        return _copy(_domain('"domain"'), name)
    if name in _NAMES or (kind == "company" and name == "name"):
        return _copy(f"\"{name}\" || ' ' || substr(md5(n::VARCHAR), 1, 6)", name)
    if name == "phone":
        return _copy('"phone" || n::VARCHAR', name)
    if (name.endswith("_id") and name not in _SHARED) or name == "merged_into":
        return _copy(f"\"{name}\" || '~' || n::VARCHAR", name)
    return f'"{name}"'


def _copy(sql: str, name: str) -> str:
    return f'CASE WHEN n = 0 THEN "{name}" ELSE {sql} END'


def _each(name: str, sql: str) -> str:
    sql = sql.replace("m.mark", "('~' || n::VARCHAR)")
    return f'CASE WHEN n = 0 THEN "{name}" ELSE list_transform("{name}", lambda x: {sql}) END'


def _email(value: str) -> str:
    """Business addresses move to the copy's domain; those at free mailers get a name of their own."""
    local, domain = f"split_part({value}, '@', 1)", f"split_part({value}, '@', 2)"
    free = ", ".join(f"'{d}'" for d in FREE_MAIL)
    return (
        f"CASE WHEN lower({domain}) IN ({free}) THEN {local} || '.c' || n::VARCHAR || '@' || {domain} "
        f"ELSE {local} || '@' || {_domain(domain)} END"
    )


def _domain(value: str) -> str:
    """mail.acme.example → mail.c12acme.example"""
    return f"regexp_replace({value}, '([^.]+\\.[^.]+)$', 'c' || n::VARCHAR || '\\1')"
