"""Local Spark behind Ibis (`pip install -e .[spark]`, Java 17): the same facts and the same expressions on a second engine.

Spark runs in a process of its own, reached over loopback. Facts are handed over as Parquet.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ibis

_SETTINGS = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "false",  # dividing by nothing gives nothing, as in DuckDB, and no error
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}


def connect(folder: Path, memory: str = "3g") -> Any:
    """An Ibis connection to a new Spark with two threads; the folder is for what it spills."""
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    assert ibis.pyspark  # asking for it makes its options known
    from ibis.backends.pyspark import Backend
    from pyspark.sql import SparkSession

    class Spark(Backend):
        """Ibis 12 does not tell Spark of literal tables (ibis.memtable) before it caches what stands on them."""

        def _create_cached_table(self, name: str, expr: Any) -> Any:
            self._run_pre_execute_hooks(expr)
            return super()._create_cached_table(name, expr)

    builder = SparkSession.builder.master("local[2]").appName("tundish").config("spark.driver.memory", memory)
    builder = builder.config("spark.local.dir", str(folder)).config("spark.sql.warehouse.dir", str(folder / "warehouse"))
    builder = builder.config("spark.sql.shuffle.partitions", "4")
    for setting, value in _SETTINGS.items():
        builder = builder.config(setting, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    made = Spark()
    made.do_connect(session)
    return made


def hand_over(known: Mapping[str, ibis.Table], folder: Path) -> None:
    """The facts as Parquet, one file each."""
    folder.mkdir(exist_ok=True)
    for name, table in known.items():
        engine = ibis.get_backend(table)
        engine.con.execute(f"COPY ({engine.compile(table)}) TO '{folder / name}.parquet' (FORMAT parquet)")


def facts_there(engine: Any, folder: Path) -> dict[str, ibis.Table]:
    """The facts that were handed over, as the engine's tables."""
    return {path.stem: engine.read_parquet(str(path), table_name=f"fact_{path.stem}") for path in sorted(folder.glob("*.parquet"))}


def process() -> int:
    """The id of Spark's own process."""
    from pyspark import SparkContext

    pid: int = SparkContext._gateway.proc.pid
    return pid
