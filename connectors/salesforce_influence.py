"""Campaign influence in Salesforce: how much of an opportunity a campaign is credited with, as rows of a model of our own.

A row is known by its two ends, "opportunity:campaign", and is made, changed or taken away by its value. Only rows of the model
the setting names are ever looked at. The model itself is made by an admin: the API cannot.
Source: https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_campaigninfluence.htm
and …_campaigninfluencemodel.htm, read 2026-11-26
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from connectors.salesforce_session import PASSING, Session
from core.connector import Write, WriteResult
from core.errors import UserError, VendorError

BATCH, ASKED = 200, 100  # rows a call; opportunities a query, whose address must stay short
FIELD, SETTING = "Influence", "influence_model"
Pair = tuple[str, str]  # opportunity, campaign


def read_back(session: Session, vendor_ids: Sequence[str], fields: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The share in per cent of each pair, None where there is no row."""
    there = _rows(session, [_pair(vendor_id)[0] for vendor_id in vendor_ids])
    return {v: {name: there.get(_pair(v), {}).get(FIELD) if name == FIELD else None for name in fields} for v in vendor_ids}


def write(session: Session, writes: Sequence[Write]) -> Iterator[WriteResult]:
    """One result per write: rows are made where there is none, changed where there is one, and deleted for None."""
    strange = [w for w in writes if set(w.values) != {FIELD} or w.vendor_id.count(":") != 1]
    for one in strange:
        yield WriteResult(one.key, False, "unknown_field", f"only {FIELD} of opportunity:campaign can be written")
    good = [w for w in writes if w not in strange]
    there, model = _rows(session, [_pair(w.vendor_id)[0] for w in good]), _model(session)
    made = [w for w in good if w.values[FIELD] is not None and _pair(w.vendor_id) not in there]
    changed = [w for w in good if w.values[FIELD] is not None and _pair(w.vendor_id) in there]
    gone = [w for w in good if w.values[FIELD] is None and _pair(w.vendor_id) in there]
    yield from (WriteResult(w.key, True) for w in good if w.values[FIELD] is None and _pair(w.vendor_id) not in there)
    yield from _sent(session, "POST", made, lambda w: {**_ends(w, model), FIELD: float(w.values[FIELD])})
    yield from _sent(session, "PATCH", changed, lambda w: {"Id": there[_pair(w.vendor_id)]["Id"], FIELD: float(w.values[FIELD])})
    for start in range(0, len(gone), BATCH):
        part = gone[start : start + BATCH]
        ids = ",".join(there[_pair(w.vendor_id)]["Id"] for w in part)
        yield from _judged(session, part, session.request("DELETE", f"composite/sobjects?allOrNone=false&ids={ids}").content)


def _pair(vendor_id: str) -> Pair:
    opportunity, _, campaign = vendor_id.partition(":")
    return opportunity, campaign


def _ends(one: Write, model: str) -> dict[str, str]:
    opportunity, campaign = _pair(one.vendor_id)
    return {"OpportunityId": opportunity, "CampaignId": campaign, "ModelId": model}


def _model(session: Session) -> str:
    """The model's id. Raises: UserError where there is none of that name, or the org has no customizable influence."""
    name = session.influence_model
    try:
        rows = session.select("SELECT Id, DeveloperName FROM CampaignInfluenceModel")
    except VendorError as error:
        if error.status not in (400, 404):
            raise
        raise UserError(
            "the org has no Customizable Campaign Influence", where=session.transport.account,
            next_step="switch it on in Setup (Campaign Influence Settings), or take CampaignInfluence out of the mapping's push",
        ) from error  # fmt: skip
    found = [row["Id"] for row in rows if row["DeveloperName"] == name]
    if not found:
        raise UserError(
            f"the org has no campaign influence model {name!r}", where=session.transport.account,
            next_step=f"make one in Setup (Model Settings), locked, or correct the setting {SETTING}",
        )  # fmt: skip
    return str(found[0])


def _rows(session: Session, opportunities: Sequence[str]) -> dict[Pair, dict[str, Any]]:
    asked, model = list(dict.fromkeys(opportunities)), _model(session)
    found: dict[Pair, dict[str, Any]] = {}
    for start in range(0, len(asked), ASKED):
        listed = ", ".join(f"'{i}'" for i in asked[start : start + ASKED] if i.isalnum())
        if listed:
            rows = session.select(
                f"SELECT Id, OpportunityId, CampaignId, {FIELD} FROM CampaignInfluence "
                f"WHERE ModelId = '{model}' AND OpportunityId IN ({listed})"
            )
            found |= {(row["OpportunityId"], row["CampaignId"]): row for row in rows}
    return found


def _sent(session: Session, method: str, writes: Sequence[Write], record: Callable[[Write], Mapping[str, Any]]) -> Iterator[WriteResult]:
    for start in range(0, len(writes), BATCH):
        part = writes[start : start + BATCH]
        records = [{"attributes": {"type": "CampaignInfluence"}, **record(w)} for w in part]
        body = json.dumps({"allOrNone": False, "records": records}).encode()
        yield from _judged(session, part, session.request(method, "composite/sobjects", body=body).content)


def _judged(session: Session, writes: Sequence[Write], reply: bytes) -> Iterator[WriteResult]:
    answers = json.loads(reply)
    if len(answers) != len(writes):
        raise VendorError(f"Salesforce answered {len(answers)} of {len(writes)} records", where=session.transport.account)
    for one, answer in zip(writes, answers, strict=True):
        first = {} if answer.get("success") else (answer.get("errors") or [{}])[0]
        code = "" if answer.get("success") else str(first.get("statusCode") or "UNKNOWN")
        yield WriteResult(one.key, not code, code, str(first.get("message") or ""), code in PASSING)
