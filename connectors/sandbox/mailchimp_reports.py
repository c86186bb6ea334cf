"""Mailchimp campaigns, their reports and what recipients did, and classic automations. Counters follow the clock:
activity dated after the emulator's now has not happened yet, so reports grow when the clock moves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from connectors.sandbox.kit import Reply, Request
from connectors.sandbox.mailchimp_members import Audiences
from connectors.sandbox.mailchimp_wire import (
    Row,
    asked_stamp,
    collection,
    cut,
    gone,
    invalid,
    linked,
    member_hash,
    ok,
    ordered,
    stamp,
    within,
)


class Sends:
    """Campaigns by id, their recipients (fixed at load) and their activity."""

    def __init__(self, audiences: Audiences, now: Callable[[], datetime]) -> None:
        self.audiences, self.now = audiences, now
        self.campaigns: dict[str, Row] = {}
        self.activity: dict[str, list[Row]] = {}
        self.recipients: dict[str, dict[str, str]] = {}  # campaign → member id at the time of sending → address
        self.automations: list[Row] = []

    def load(self, seed: Mapping[str, Any]) -> None:
        for row in seed.get("campaigns", ()):
            self.campaigns[row["id"]] = dict(row) | {"create_time": stamp(row.get("create_time")), "send_time": stamp(row.get("send_time"))}
        for row in seed.get("automations", ()):
            self.automations.append(dict(row) | {k: stamp(row.get(k)) for k in ("create_time", "start_time")})
        for campaign_id, events in seed.get("activity", {}).items():
            for event in events:
                self.engage(campaign_id, **event)
        for row in self.campaigns.values():
            if row["send_time"]:
                self._address(row)

    def _address(self, campaign: Row) -> None:
        """Everyone on the list by then who could be mailed, and everyone known to have reacted."""
        to = self.recipients.setdefault(campaign["id"], {})
        audience = self.audiences.lists.get(campaign.get("recipients", {}).get("list_id", ""))
        for member in audience.members.values() if audience else ():
            if member["timestamp_opt"] and member["timestamp_opt"] <= campaign["send_time"] and member["status"] == "subscribed":
                to[member["id"]] = member["email_address"]

    def engage(self, campaign_id: str, email: str, action: str, timestamp: str | None = None, **more: Any) -> None:
        """One more open, click or bounce. A late bounce carries the date of the send and moves nothing else."""
        event = {"action": action, "timestamp": stamp(timestamp or self.now()), "ip": "198.51.100.7", **more}
        if action == "bounce":
            event.setdefault("type", "hard")
        self.activity.setdefault(campaign_id, []).append(event | {"_email": email})
        self.recipients.setdefault(campaign_id, {})[member_hash(email)] = email

    def find(self, campaign_id: str) -> Row:
        if campaign_id not in self.campaigns:
            raise gone()
        return self.campaigns[campaign_id]

    def _happened(self, campaign_id: str) -> list[Row]:
        now = stamp(self.now())
        return [e for e in self.activity.get(campaign_id, ()) if e["timestamp"] <= now]

    # -- shapes ------------------------------------------------------------------------------------------------------
    def counters(self, campaign: Row) -> Row:
        events = self._happened(campaign["id"])
        by = {action: [e for e in events if e["action"] == action] for action in ("open", "click", "bounce")}
        sent = campaign.get("emails_sent") or len(self.recipients.get(campaign["id"], ()))
        unique = {action: len({e["_email"] for e in rows}) for action, rows in by.items()}
        return {
            "sent": sent, "opens": len(by["open"]), "unique_opens": unique["open"], "open_rate": unique["open"] / sent if sent else 0,
            "clicks": len(by["click"]), "unique_clicks": len({(e["_email"], e.get("url")) for e in by["click"]}),
            "subscriber_clicks": unique["click"], "click_rate": unique["click"] / sent if sent else 0,
            "hard": sum(e["type"] == "hard" for e in by["bounce"]), "soft": sum(e["type"] == "soft" for e in by["bounce"]),
            "last_open": max((e["timestamp"] for e in by["open"]), default=""),
            "last_click": max((e["timestamp"] for e in by["click"]), default=""),
        }  # fmt: skip

    def campaign(self, row: Row) -> Row:
        shown: Row = {
            "web_id": 1, "parent_campaign_id": "", "type": "regular", "archive_url": "", "content_type": "template", "resendable": True,
            "tracking": {"opens": True, "html_clicks": True}, "delivery_status": {"enabled": False},
        } | row  # fmt: skip
        if row["send_time"]:
            n = self.counters(row)
            shown["emails_sent"] = n["sent"]
            keys = ("opens", "unique_opens", "open_rate", "clicks", "subscriber_clicks", "click_rate")
            shown["report_summary"] = {k: n[k] for k in keys} | {"ecommerce": _money(row)}
        return linked(f"/campaigns/{row['id']}", shown)

    def report(self, row: Row) -> Row:
        n = self.counters(row)
        shown = {
            "id": row["id"], "campaign_title": row.get("settings", {}).get("title", ""), "type": row.get("type", "regular"),
            "list_id": row.get("recipients", {}).get("list_id", ""), "list_is_active": True, "list_name": "",
            "subject_line": row.get("settings", {}).get("subject_line", ""), "preview_text": "", "emails_sent": n["sent"],
            "abuse_reports": row.get("abuse_reports", 0), "unsubscribed": row.get("unsubscribed", 0), "send_time": row["send_time"],
            "bounces": {"hard_bounces": n["hard"], "soft_bounces": n["soft"], "syntax_errors": 0},
            "forwards": {"forwards_count": 0, "forwards_opens": 0},
            "opens": {"opens_total": n["opens"], "unique_opens": n["unique_opens"], "open_rate": n["open_rate"],
                      "last_open": n["last_open"]},
            "clicks": {"clicks_total": n["clicks"], "unique_clicks": n["unique_clicks"], "unique_subscriber_clicks": n["subscriber_clicks"],
                       "click_rate": n["click_rate"], "last_click": n["last_click"]},
            "ecommerce": _money(row),
        }  # fmt: skip
        return linked(f"/reports/{row['id']}", shown)

    # -- routes ------------------------------------------------------------------------------------------------------
    # https://mailchimp.com/developer/marketing/api/campaigns/list-campaigns/
    def list_campaigns(self, request: Request) -> Reply:
        rows = self._chosen(request, list(self.campaigns.values()))
        rows = ordered(request, within(request, within(request, rows, "send_time"), "create_time"), ("create_time", "send_time"))
        return collection("/campaigns", "campaigns", [self.campaign(r) for r in cut(request, rows)], len(rows))

    def _chosen(self, request: Request, rows: list[Row]) -> list[Row]:
        for name in ("status", "type"):
            if wanted := request.q(name):
                rows = [r for r in rows if r.get(name) == wanted]
        if list_id := request.q("list_id"):
            rows = [r for r in rows if r.get("recipients", {}).get("list_id") == list_id]
        return rows

    def get_campaign(self, request: Request) -> Reply:
        return ok(self.campaign(self.find(request.params["id"])))

    # https://mailchimp.com/developer/marketing/api/reports/list-campaign-reports/
    def list_reports(self, request: Request) -> Reply:
        rows = [r for r in self._chosen(request, list(self.campaigns.values())) if r["send_time"]]
        rows = sorted(within(request, rows, "send_time"), key=lambda r: r["send_time"], reverse=True)
        return collection("/reports", "reports", [self.report(r) for r in cut(request, rows)], len(rows))

    def get_report(self, request: Request) -> Reply:
        row = self.find(request.params["id"])
        if not row["send_time"]:
            raise gone("There is no report for a campaign that was not sent.")
        return ok(self.report(row))

    # https://mailchimp.com/developer/marketing/api/email-activity-reports/list-email-activity/
    def email_activity(self, request: Request) -> Reply:
        """`since` filters the activity, not the people: recipients without any come with an empty list."""
        campaign = self.find(request.params["id"])
        if not campaign["send_time"]:
            raise gone()
        since = asked_stamp(request, "since") or ""
        events: dict[str, list[Row]] = {}
        for event in sorted(self._happened(campaign["id"]), key=lambda e: str(e["timestamp"])):
            if event["timestamp"] > since:
                events.setdefault(member_hash(event["_email"]), []).append({k: v for k, v in event.items() if k != "_email"})
        people = list(self.recipients.get(campaign["id"], {}).items())
        base = {"campaign_id": campaign["id"], "list_id": campaign.get("recipients", {}).get("list_id", ""), "list_is_active": True}
        path = f"/reports/{campaign['id']}/email-activity"
        rows = [
            linked(f"{path}/{h}", base | {"email_id": h, "email_address": email, "activity": events.get(h, [])})
            for h, email in cut(request, people)
        ]
        return collection(path, "emails", rows, len(people), campaign_id=campaign["id"])

    # https://mailchimp.com/developer/marketing/api/list-member-activity/ (the last fifty)
    def member_activity(self, request: Request) -> Reply:
        member = self.audiences.member(request.params["list"], request.params["member"])
        rows = [
            {"action": e["action"], "timestamp": e["timestamp"], "url": e.get("url", ""), "type": e.get("type", ""), "campaign_id": c,
             "title": self.campaigns[c].get("settings", {}).get("title", "")}
            for c in self.campaigns for e in self._happened(c) if member_hash(e["_email"]) == member["id"]
        ]  # fmt: skip
        rows.sort(key=lambda r: r["timestamp"], reverse=True)
        path = f"/lists/{member['list_id']}/members/{member['id']}/activity"
        return collection(path, "activity", rows[:50], len(rows[:50]), email_id=member["id"], list_id=member["list_id"])

    # https://mailchimp.com/developer/marketing/api/automation/list-automations/ (classic automations only)
    def list_automations(self, request: Request) -> Reply:
        rows = self._chosen(request, self.automations)
        shown = [linked(f"/automations/{r['id']}", {"emails_sent": 0, "tracking": {}} | r) for r in cut(request, rows)]
        return collection("/automations", "automations", shown, len(rows))

    def get_automation(self, request: Request) -> Reply:
        row = next((r for r in self.automations if r["id"] == request.params["id"]), None)
        if row is None:
            raise gone()
        return ok(linked(f"/automations/{row['id']}", row))

    def bounce(self, campaign_id: str, email: str, type: str = "hard") -> None:
        """A bounce that comes in late: dated like the send, so no date on the report moves."""
        if type not in ("hard", "soft"):
            raise invalid("type", "hard or soft")
        self.engage(campaign_id, email, "bounce", self.find(campaign_id)["send_time"], type=type)


def _money(row: Row) -> Row:
    return {"total_orders": 0, "total_spent": 0, "total_revenue": 0, "currency_code": "USD"} | dict(row.get("ecommerce", {}))
