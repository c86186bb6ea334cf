"""What the emulated ActiveCampaign only shows: users, accounts, who belongs to them, campaigns, messages, automations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from connectors.sandbox import activecampaign_wire as wire
from connectors.sandbox.activecampaign_wire import Row, epoch, stamp
from connectors.sandbox.kit import Reply, Request

NAMES = ("users", "accounts", "accountContacts", "campaigns", "messages", "automations", "contactAutomations")
COUNTERS = ("send_amt", "total_amt", "opens", "uniqueopens", "linkclicks", "uniquelinkclicks", "hardbounces", "softbounces",
            "unsubscribes", "replies")  # fmt: skip


class Others:
    """Lists that nobody writes to through the API here. `deal_accounts` gives the account of every deal."""

    def __init__(self, deal_accounts: Callable[[], Iterable[str]]) -> None:
        self.deal_accounts = deal_accounts
        self.rows: dict[str, list[Row]] = {name: [] for name in NAMES}

    def load(self, seed: Mapping[str, Any]) -> None:
        self.rows = {name: [dict(row) for row in seed.get(name, ())] for name in NAMES}

    def me(self, request: Request) -> Reply:
        return Reply({"user": self._user(self.rows["users"][0])})

    def _user(self, row: Row) -> Row:
        return {"username": row["email"].partition("@")[0], "firstName": row["firstName"], "lastName": row["lastName"],
                "email": row["email"], "phone": "", "signature": None, "links": wire.linked(f"users/{row['id']}", "lists"),
                "id": str(row["id"])}  # fmt: skip

    def users(self, request: Request) -> Reply:
        return wire.page(request, "users", [self._user(row) for row in self.rows["users"]])

    def accounts(self, request: Request) -> Reply:
        counted = request.q("count_deals") == "true"
        shown: list[Row] = []
        for row in self.rows["accounts"]:
            key = str(row["id"])
            count = sum(account == key for account in self.deal_accounts()) if counted else 0
            dates = {"createdTimestamp": stamp(epoch(row["cdate"])), "updatedTimestamp": stamp(epoch(row["udate"]))}
            shown.append({"name": row["name"], "accountUrl": row.get("url"), **dates, "contactCount": "0", "dealCount": str(count),
                          "links": [], "id": key})  # fmt: skip
        return wire.page(request, "accounts", shown)

    def account_contacts(self, request: Request) -> Reply:
        rows: list[Row] = []
        for row in self.rows["accountContacts"]:
            at = stamp(epoch(row["cdate"]))
            ends = {"account": str(row["account"]), "contact": str(row["contact"])}
            rows.append({**ends, "jobTitle": row.get("jobTitle"), "createdTimestamp": at, "updatedTimestamp": at, "links": [],
                         "id": str(row["id"])})  # fmt: skip
        return wire.page(request, "accountContacts", wire.kept(request, rows, {"contact": "contact", "account": "account"}))

    def campaigns(self, request: Request) -> Reply:
        rows: list[Row] = []
        for row in self.rows["campaigns"]:
            counts = {name: str(row.get(name, 0)) for name in COUNTERS}
            dates = {name: stamp(epoch(row.get(name))) for name in ("cdate", "mdate", "sdate", "ldate")}
            rows.append({"type": row.get("type", "single"), "userid": "1", "seriesid": "0", "name": row["name"], **dates, **counts,
                         "status": str(row.get("status", 5)), "deletestamp": None, "id": str(row["id"]), "automation": None})  # fmt: skip
        columns = {"sdate": "sdate", "ldate": "ldate"}
        return wire.page(request, "campaigns", wire.ordered(request, [r for r in rows if request.q("filters[seriesid]") is None], columns))

    def messages(self, request: Request) -> Reply:
        rows = [{"userid": "1", "cdate": stamp(epoch(row["cdate"])), "mdate": stamp(epoch(row["cdate"])), "name": row["name"],
                 "fromname": "Lumen & Loom", "fromemail": "letter@lumen-loom.example", "subject": row["subject"], "text": "",
                 "html": "<html></html>", "id": str(row["id"])} for row in self.rows["messages"]]  # fmt: skip
        return wire.page(request, "messages", rows)

    def automations(self, request: Request) -> Reply:
        rows = [{"name": row["name"], "cdate": stamp(epoch(row["cdate"])), "mdate": stamp(epoch(row["cdate"])), "userid": "1",
                 "status": "1", "entered": str(row.get("entered", 0)), "exited": str(row.get("exited", 0)), "hidden": "0", "links": [],
                 "id": str(row["id"])} for row in self.rows["automations"]]  # fmt: skip
        return wire.page(request, "automations", rows)

    def contact_automations(self, request: Request) -> Reply:
        rows: list[Row] = []
        for row in self.rows["contactAutomations"]:
            dates = {
                name: stamp(epoch(row.get(of))) for name, of in (("adddate", "adddate"), ("remdate", "remdate"), ("lastdate", "adddate"))
            }
            done = bool(row.get("remdate"))
            rows.append({"contact": str(row["contact"]), "seriesid": str(row["automation"]), "automation": str(row["automation"]),
                         "status": "2" if done else "1", **dates, "completed": int(done), "completeValue": 100 if done else 50,
                         "links": [], "id": str(row["id"])})  # fmt: skip
        return wire.page(request, "contactAutomations", rows)
