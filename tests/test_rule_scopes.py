"""A rule limited to accounts or pipelines in funnel.yaml."""

from __future__ import annotations

from empty_run import empty_run
from test_reconcile import found_in, hs, ids, sf

from core.reconcile import scoped
from core.rules import RULES
from core.rules.rule import SIDES

LATE = {"close_date": "2026-06-01"}
DEALS = [hs("1", pipeline_id="new", **LATE), hs("2", pipeline_id="renewals", **LATE), sf("3", "1", pipeline_id="all", **LATE)]


def late(**where: list[str]) -> set[frozenset[str]]:
    found = found_in(rules=["D-06"], funnel={"rules": {"D-06": where}}, deal=DEALS).to_pylist()
    return {frozenset(ids(finding)) for finding in found}


def test_a_finding_stays_whole_when_one_of_its_records_lies_where_the_rule_looks() -> None:
    both, alone = frozenset({"1", "3"}), frozenset({"2"})
    assert late() == {both, alone}
    assert late(accounts=["salesforce"]) == {both}
    assert late(pipelines=["all"]) == {both}
    assert late(pipelines=["renewals"]) == {alone}
    assert late(accounts=["salesforce"], pipelines=["new"]) == set()  # one record must lie in both
    assert late(accounts=["mailchimp"]) == set()


def test_every_rule_can_be_limited_to_accounts_and_pipelines() -> None:
    funnel = {"rules": {rule: {"accounts": ["hubspot"], "pipelines": ["new"]} for rule in RULES}}
    ctx, _ = empty_run(funnel)
    assert all(scoped(rule, ctx).columns == (*SIDES,) for rule in RULES.values())
