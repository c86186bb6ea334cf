"""A Salesforce org whose contacts have the people of the HubSpot portal, in 30 fields."""

from __future__ import annotations

from typing import Any

from connectors.sandbox.kit import Emulator
from connectors.sandbox.salesforce import SalesforceEmulator
from connectors.sandbox.salesforce_describe import make_id
from connectors.sandbox.world import contacts_only

SEED = 7


def emulator(size: int) -> Emulator:
    """Bulk results are made when the job runs, not while they are fetched."""
    people = contacts_only(size, SEED)["objects"]["contacts"]
    return SalesforceEmulator({"objects": {"Contact": [_contact(i, p) for i, p in enumerate(people, 1)]}})


def _contact(i: int, person: dict[str, Any]) -> dict[str, Any]:
    values = person["properties"]
    return {
        "Id": make_id("003", i),
        "AccountId": make_id("001", i % 5000 + 1),
        "OwnerId": make_id("005", i % 5 + 1),
        "FirstName": values["firstname"],
        "LastName": values["lastname"],
        "Email": values["email"],
        "Phone": values["phone"],
        "MobilePhone": values["mobilephone"],
        "HomePhone": values["phone"],
        "Fax": values["phone"],
        "Title": values["jobtitle"],
        "Department": values["industry"],
        "LeadSource": values["hs_analytics_source"],
        "Description": values["hs_analytics_source_data_1"],
        "Salutation": "Dr.",
        "Birthdate": "1980-02-03",
        "LastActivityDate": person["updatedAt"][:10],
        "MailingStreet": values["address"],
        "MailingCity": values["city"],
        "MailingState": values["state"],
        "MailingPostalCode": values["zip"],
        "MailingCountry": values["country"],
        "OtherStreet": values["address"],
        "OtherCity": values["city"],
        "OtherCountry": values["country"],
        "HasOptedOutOfEmail": False,
        "CreatedDate": person["createdAt"],
        "LastModifiedDate": person["updatedAt"],
        "SystemModstamp": person["updatedAt"],
        "IsDeleted": False,
    }
