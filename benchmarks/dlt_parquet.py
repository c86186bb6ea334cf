"""dlt with its Parquet loader; the rest as in dlt_default."""

from __future__ import annotations

import sys

import dlt_default

if __name__ == "__main__":
    dlt_default.main(*sys.argv[1:], "parquet")
