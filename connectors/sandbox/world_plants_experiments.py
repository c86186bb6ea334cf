"""Planted discrepancies and near misses of experiments (X-01 to X-04)."""

from __future__ import annotations

CASES = ()
