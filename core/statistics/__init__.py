"""The formulas under experiments and shares: pure functions on aggregates, each with the source of its formula.

They know no table, no engine and no vendor. What takes long to import (scipy) is imported inside the functions that need it.
"""
