"""Persons who are probably one, by a model trained on the data themselves (Splink). Suggestions only: nothing here links anybody.

Rule I-02 finds the same kind of pairs by fixed weights; a trained model finds others, and changes with the data, so that what it says
cannot be a finding with a first day. Splink is an extra: `pip install tundish[suggest]`.
Source: https://moj-analytical-services.github.io/splink/ (read 2026-11).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import duckdb
import ibis
import pyarrow as pa

from core.errors import UserError
from core.evidence import employer
from core.thresholds import free_mail

SUGGESTIONS = pa.schema(
    [("left_id", pa.string()), ("right_id", pa.string()), ("left_key", pa.string()), ("right_key", pa.string()),
     ("match_weight", pa.float64()), ("probability", pa.float64())]
)  # fmt: skip
_RECALL = 0.6  # of two entries of one person, the share that have the same telephone or first name, last name and company
_MOST_PAIRS = 1_000_000  # sampled to learn how often strangers agree by chance
_SEED = 1


def suggest(facts: Mapping[str, ibis.Table], funnel: Any, least: float) -> pa.Table:
    """Pairs of persons whom nothing links, with probability `least` or more, the most probable first (columns: SUGGESTIONS).

    left_key, right_key: a live record of each as account:resource:id. The match weight is the base-2 logarithm of the odds.
    Raises: UserError when Splink is not installed.
    """
    try:
        import splink
    except ImportError as problem:
        raise UserError("suggestions need Splink, which is not installed", next_step="pip install 'tundish[suggest]'") from problem
    people = _people(facts, funnel).to_pyarrow()
    if people.num_rows < 2:
        return SUGGESTIONS.empty_table()
    keys = dict(zip(people["entity_id"].to_pylist(), people["key"].to_pylist(), strict=True))
    pairs = _predicted(splink, people.drop_columns(["key"]), least)
    rows = [_row(pair, keys) for pair in pairs.to_pylist()]
    return pa.Table.from_pylist(sorted(rows, key=lambda r: (-r["match_weight"], r["left_id"], r["right_id"])), schema=SUGGESTIONS)


def _people(facts: Mapping[str, ibis.Table], funnel: Any) -> ibis.Table:
    """One row per person who is counted: names, address, employer and telephone as compared, and a record."""
    p = facts["people"]
    record = p.account.concat(":", p.resource, ":", p.vendor_id)
    named = p.group_by("entity_id").agg(
        first_name=p.first_name.lower().max(), last_name=p.last_name.lower().max(), key=record.min(),
        phone=p.phone.re_replace(r"[^0-9]", "").right(9).nullif("").max(),
    )  # fmt: skip
    person = facts["person"].filter(~facts["person"].excluded.fill_null(False))
    t = named.inner_join(person.select("entity_id", email=person.email.lower().strip()), "entity_id")
    return t.mutate(company=employer(t.email, free_mail(funnel))).order_by("entity_id")


def _predicted(splink: Any, people: pa.Table, least: float) -> pa.Table:
    import splink.comparison_library as compare
    from splink.internals.exceptions import EMTrainingException

    logging.getLogger("splink").setLevel(logging.ERROR)
    blocks = [splink.block_on("phone"), splink.block_on("last_name", "company"), splink.block_on("first_name", "last_name")]
    settings = splink.SettingsCreator(
        link_type="dedupe_only", unique_id_column_name="entity_id", blocking_rules_to_generate_predictions=blocks,
        comparisons=[
            compare.JaroWinklerAtThresholds("first_name", [0.9]), compare.JaroWinklerAtThresholds("last_name", [0.9]),
            compare.EmailComparison("email"), compare.ExactMatch("phone"), compare.ExactMatch("company"),
        ],
    )  # fmt: skip
    engine = duckdb.connect(config={"threads": 1})  # several would draw another sample each time
    try:
        linker = splink.Linker(people.to_pandas(), settings, db_api=splink.DuckDBAPI(connection=engine), set_up_basic_logging=False)
        certain = [splink.block_on("phone"), splink.block_on("first_name", "last_name", "company")]
        steps: list[Callable[[], Any]] = [
            lambda: linker.training.estimate_probability_two_random_records_match(certain, recall=_RECALL),
            lambda: linker.training.estimate_u_using_random_sampling(max_pairs=_MOST_PAIRS, seed=_SEED),
            lambda: linker.training.estimate_parameters_using_expectation_maximisation(splink.block_on("phone")),
            lambda: linker.training.estimate_parameters_using_expectation_maximisation(splink.block_on("last_name")),
        ]
        for train in steps:
            try:
                train()
            except (EMTrainingException, ValueError):  # too few pairs to learn from: Splink's own first guess stays
                continue
        found = linker.inference.predict(threshold_match_probability=least)
        return engine.execute(
            f"SELECT match_weight, match_probability, entity_id_l, entity_id_r FROM {found.physical_name}"
        ).to_arrow_table()
    finally:
        engine.close()


def _row(pair: Mapping[str, Any], keys: Mapping[str, str]) -> dict[str, Any]:
    left, right = sorted((pair["entity_id_l"], pair["entity_id_r"]))
    return {
        "left_id": left, "right_id": right, "left_key": keys[left], "right_key": keys[right],
        "match_weight": round(pair["match_weight"], 3), "probability": round(pair["match_probability"], 4),
    }  # fmt: skip
