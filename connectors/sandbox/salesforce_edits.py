"""What a person does in the org's own screens and the API does not offer: merge, convert a lead, lock, hide, purge.

These are the control door's edits; they raise where the screens would.
"""

from __future__ import annotations

from typing import Any

from connectors.sandbox.salesforce_describe import to18
from connectors.sandbox.salesforce_org import Org
from connectors.sandbox.salesforce_soql import Row, canonical

CHILDREN = {
    "Account": (("Contact", "AccountId"), ("Opportunity", "AccountId"), ("Account", "ParentId")),
    "Contact": (("OpportunityContactRole", "ContactId"), ("CampaignMember", "ContactId"), ("Contact", "ReportsToId")),
    "Lead": (("CampaignMember", "LeadId"),),
}


class Edits:
    def __init__(self, org: Org) -> None:
        self.org = org

    def insert(self, sobject: str, values: dict[str, Any]) -> str:
        return self.org.insert(sobject, values)

    def update(self, sobject: str, id: str, values: dict[str, Any], at: str | None = None, by: str | None = None) -> str:
        """`at`: the stamp to leave, for edits that share an instant or commit late. `by`: the id of the user who saves."""
        self.org.update(sobject, id, values, by=by)
        return self._stamp(sobject, id, at)

    def touch_many(self, sobject: str, ids: list[str], values: dict[str, Any], at: str) -> int:
        for row_id in ids:
            self.update(sobject, row_id, values, at)
        return len(ids)

    def delete(self, sobject: str, id: str) -> None:
        self.org.delete(sobject, id)

    def undelete(self, sobject: str, id: str) -> None:
        self.org.undelete(sobject, id)

    def purge(self, sobject: str, days: int = 15) -> list[str]:
        return self.org.purge(sobject, days)

    def merge(self, sobject: str, winner: str, loser: str) -> str:
        """The loser goes to the bin naming its master; only the winner's blanks are filled; children move."""
        if sobject not in CHILDREN:
            raise ValueError(f"{sobject} cannot be merged")
        org, now = self.org, self.org.now()
        kept, lost = org.live(sobject, winner), org.live(sobject, loser)
        writable = {n for n, f in org.schemas[sobject].items() if f.writable}
        blanks = {n: v for n, v in lost.items() if n in writable and v is not None and kept.get(n) is None}
        org.put(sobject, kept | blanks | {"SystemModstamp": now, "LastModifiedDate": now})
        gone = {"IsDeleted": True, "MasterRecordId": kept["Id"], "SystemModstamp": now, "LastModifiedDate": now}
        org.put(sobject, lost | gone)
        for child, name in CHILDREN[sobject]:
            for row in [r for r in org.tables[child].values() if r.get(name) == lost["Id"]]:
                org.put(child, row | {name: kept["Id"], "SystemModstamp": now, "LastModifiedDate": now})
        return str(kept["Id"])

    def convert_lead(self, id: str, opportunity: bool = True, account_id: str | None = None) -> dict[str, Any]:
        """Account, contact and perhaps an opportunity are made; the lead becomes read-only."""
        org, now = self.org, self.org.now()
        lead = org.live("Lead", id)
        if lead.get("IsConverted"):
            raise ValueError("the lead is converted already")
        account = account_id or self._account_named(lead["Company"]) or org.insert("Account", {"Name": lead["Company"]})
        copied = {n: lead.get(n) for n in ("FirstName", "LastName", "Email", "Phone", "Title", "LeadSource") if lead.get(n)}
        contact = org.insert("Contact", {**copied, "AccountId": account})
        made: Row = {"ConvertedAccountId": account, "ConvertedContactId": contact, "ConvertedOpportunityId": None}
        if opportunity:
            stage = org.picklist("Opportunity", "StageName")[0]
            values = {"Name": f"{lead['Company']}-", "StageName": stage, "CloseDate": now[:10], "AccountId": account}
            made["ConvertedOpportunityId"] = org.insert("Opportunity", values)
        status = next((r["ApiName"] for r in org.tables["LeadStatus"].values() if r.get("IsConverted")), "Closed - Converted")
        done = {"IsConverted": True, "ConvertedDate": now[:10], "Status": status, "SystemModstamp": now, "LastModifiedDate": now}
        org.put("Lead", lead | made | done)
        for name, old, new in (("Status", lead.get("Status"), status), ("leadConverted", None, None)):
            org.track("Lead", lead["Id"], name, old, new, now)
        return made

    def _account_named(self, name: str) -> str | None:
        return next((i for i, r in self.org.tables["Account"].items() if r["Name"] == name and not r.get("IsDeleted")), None)

    def customizable_influence(self, on: bool) -> None:
        """Campaign Influence Settings in Setup: without it the two objects are not there."""
        self.org.influence = on
        self.org.schema_changed()

    def recalculate_influence(self) -> int:
        """What the platform does with the default model: it writes its rows anew, so others' are gone. How many went."""
        models = {i for i, r in self.org.tables["CampaignInfluenceModel"].items() if r.get("IsDefaultModel")}
        gone = [i for i, r in self.org.tables["CampaignInfluence"].items() if r["ModelId"] in models]
        for row_id in gone:
            self.org.delete("CampaignInfluence", row_id)
        return len(gone)

    def lock_rows(self, ids: list[str], times: int = 1) -> None:
        self.org.locked |= {to18(i): times for i in ids}

    def reject(self, id: str, code: str, message: str) -> None:
        """A validation rule that refuses every write of this row."""
        self.org.rejects[to18(id)] = (code, message)

    def hide_field(self, sobject: str, name: str) -> None:
        self.org.hidden.add((sobject, name))
        self.org.schema_changed()

    def show_field(self, sobject: str, name: str) -> None:
        self.org.hidden.discard((sobject, name))
        self.org.schema_changed()

    def drop_field(self, sobject: str, name: str) -> None:
        del self.org.schemas[sobject][name]
        self.org.schema_changed()

    def track(self, sobject: str, names: list[str]) -> None:
        """Field history tracking as an admin sets it; none at all takes the history object away."""
        self.org.tracked[sobject] = set(names)
        self.org.schema_changed()

    def _stamp(self, sobject: str, row_id: str, at: str | None) -> str:
        row = self.org.tables[sobject][to18(row_id)]
        if at:
            self.org.put(sobject, row | {"SystemModstamp": canonical(at), "LastModifiedDate": canonical(at)})
        return str(row["Id"])
