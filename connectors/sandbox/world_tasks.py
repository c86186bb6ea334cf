"""Salesforce's tasks and events on the opportunities of the sandbox's company: what was done, what is planned."""

from __future__ import annotations

from typing import Any

from connectors.sandbox.world_model import Deal
from connectors.sandbox.world_names import HOUR, iso, iso_date, owners, sf_id


def _meets(d: Deal) -> bool:
    """Is the next step with this customer a meeting, or a task?"""
    return d.number % 3 == 0


def tasks(deals: list[Deal], now: int) -> list[dict[str, Any]]:
    """One done task a deal, at its last activity, and an open one where something but a meeting is planned."""
    rows: list[dict[str, Any]] = []
    for d in deals:
        done = max(d.created, d.touched(now))
        rows.append(_task(d, len(rows), done, done, closed=True))
        planned = d.planned(now)[1]
        if planned and not _meets(d):
            rows.append(_task(d, len(rows), planned, max(d.created, min(done, now - HOUR)), closed=False))
    return rows


def _task(d: Deal, number: int, due: int, made: int, *, closed: bool) -> dict[str, Any]:
    return {
        "Id": sf_id("00T", number + 1), "WhatId": d.sf_id, "WhoId": d.people[0].contact_id if d.people and d.with_people else None,
        "Subject": "Call about the offer", "ActivityDate": iso_date(due), "Status": "Completed" if closed else "Not Started",
        "Priority": "Normal", "IsHighPriority": False, "IsClosed": closed, "AccountId": d.company.sf_id, "TaskSubtype": "Task",
        "OwnerId": owners()[d.owner_sf].salesforce, "IsArchived": False, "CompletedDateTime": iso(made) if closed else None,
        **_stamps(made),
    }  # fmt: skip


def meetings(deals: list[Deal], now: int) -> list[dict[str, Any]]:
    """The planned meetings."""
    rows: list[dict[str, Any]] = []
    for d in deals:
        planned = d.planned(now)[1]
        if planned and _meets(d):
            rows.append(_meeting(d, len(rows), planned, max(d.created, now - 2 * HOUR)))
    return rows


def _meeting(d: Deal, number: int, at: int, made: int) -> dict[str, Any]:
    return {
        "Id": sf_id("00U", number + 1), "WhatId": d.sf_id, "WhoId": d.people[0].contact_id if d.people and d.with_people else None,
        "Subject": "Visit", "IsAllDayEvent": False, "ActivityDateTime": iso(at), "ActivityDate": iso_date(at), "StartDateTime": iso(at),
        "EndDateTime": iso(at + HOUR), "DurationInMinutes": 60, "AccountId": d.company.sf_id, "OwnerId": owners()[d.owner_sf].salesforce,
        "IsPrivate": False, "IsArchived": False, **_stamps(made),
    }  # fmt: skip


def _stamps(at: int) -> dict[str, Any]:
    return {"CreatedDate": iso(at), "LastModifiedDate": iso(at), "SystemModstamp": iso(at), "IsDeleted": False}
