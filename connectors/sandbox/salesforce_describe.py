"""What the sandbox's Salesforce org knows about its own objects: fields, relationships, picklists, ids.

Written from the object reference (https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/).
Each line is `Name type`, `!` marks a field the API may not write, `>A,B` a reference, `*` a field needed on insert.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

SYSTEM = """Id id! IsDeleted boolean! CreatedDate datetime! CreatedById >User! LastModifiedDate datetime! LastModifiedById >User!
SystemModstamp datetime!"""
ADDRESS = "{0}Street textarea {0}City string {0}State string {0}PostalCode string {0}Country string {0}Address address!"

OBJECTS: dict[str, tuple[str, str]] = {
    "Account": (
        "001",
        f"""MasterRecordId >Account! Name string* Type picklist ParentId >Account {ADDRESS.format("Billing")} {ADDRESS.format("Shipping")}
        Phone phone Fax phone AccountNumber string Website url Sic string Industry picklist AnnualRevenue currency NumberOfEmployees int
        Ownership picklist TickerSymbol string Description textarea Rating picklist Site string OwnerId >User AccountSource picklist
        LastActivityDate date!""",
    ),
    "Contact": (
        "003",
        f"""MasterRecordId >Contact! AccountId >Account LastName string* FirstName string Salutation picklist Name string!
        {ADDRESS.format("Mailing")} {ADDRESS.format("Other")} Phone phone Fax phone MobilePhone phone HomePhone phone ReportsToId >Contact
        Email email Title string Department string LeadSource picklist Birthdate date Description textarea OwnerId >User
        HasOptedOutOfEmail boolean LastActivityDate date! EmailBouncedReason string EmailBouncedDate datetime IsEmailBounced boolean!""",
    ),
    "Lead": (
        "00Q",
        f"""MasterRecordId >Lead! LastName string* FirstName string Salutation picklist Name string! Title string Company string*
        {ADDRESS.format("")} Phone phone MobilePhone phone Fax phone Email email Website url Description textarea LeadSource picklist
        Status picklist Industry picklist Rating picklist AnnualRevenue currency NumberOfEmployees int OwnerId >User,Group
        HasOptedOutOfEmail boolean IsConverted boolean! ConvertedDate date! ConvertedAccountId >Account! ConvertedContactId >Contact!
        ConvertedOpportunityId >Opportunity! LastActivityDate date! EmailBouncedReason string EmailBouncedDate datetime""",
    ),
    "Opportunity": (
        "006",
        """AccountId >Account IsPrivate boolean Name string* Description textarea StageName picklist* Amount currency Probability percent
        ExpectedRevenue currency! TotalOpportunityQuantity double CloseDate date* Type picklist NextStep string LeadSource picklist
        IsClosed boolean! IsWon boolean! ForecastCategory picklist! ForecastCategoryName picklist CampaignId >Campaign
        OwnerId >User ContactId >Contact! LastActivityDate date! LastStageChangeDate datetime! FiscalQuarter int! FiscalYear int!
        Fiscal string! LastAmountChangedHistoryId >OpportunityHistory! LastCloseDateChangedHistoryId >OpportunityHistory!""",
    ),
    "OpportunityHistory": (
        "008",
        """OpportunityId >Opportunity! StageName picklist! Amount currency! ExpectedRevenue currency! CloseDate date! Probability percent!
        ForecastCategory picklist! PrevAmount currency! PrevCloseDate date!""",
    ),
    "OpportunityFieldHistory": (
        "017",
        "OpportunityId >Opportunity! Field picklist! DataType picklist! OldValue anyType! NewValue anyType!",
    ),
    "LeadHistory": ("017", "LeadId >Lead! Field picklist! DataType picklist! OldValue anyType! NewValue anyType!"),
    "OpportunityStage": (
        "01J",
        """MasterLabel string! ApiName string! IsActive boolean! SortOrder int! IsClosed boolean! IsWon boolean! ForecastCategory picklist!
        ForecastCategoryName picklist! DefaultProbability percent! Description string!""",
    ),
    "LeadStatus": ("01J", "MasterLabel string! ApiName string! SortOrder int! IsDefault boolean! IsConverted boolean!"),
    "OpportunityContactRole": ("00K", "OpportunityId >Opportunity* ContactId >Contact* Role picklist IsPrimary boolean"),
    "Campaign": (
        "701",
        """Name string* ParentId >Campaign Type picklist Status picklist StartDate date EndDate date ExpectedRevenue currency
        BudgetedCost currency ActualCost currency ExpectedResponse percent NumberSent double IsActive boolean Description textarea
        NumberOfLeads int! NumberOfConvertedLeads int! NumberOfContacts int! NumberOfResponses int! NumberOfOpportunities int!
        NumberOfWonOpportunities int! AmountAllOpportunities currency! AmountWonOpportunities currency! OwnerId >User""",
    ),
    "CampaignMember": (
        "00v",
        """CampaignId >Campaign* LeadId >Lead ContactId >Contact Status picklist HasResponded boolean! FirstRespondedDate date!
        Name string! Email email! CompanyOrAccount string!""",
    ),
    # https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_campaigninfluencemodel.htm
    # The page names no key prefix of the two; these are the sandbox's.
    "CampaignInfluenceModel": (
        "0C1",
        """DeveloperName string! IsActive boolean! IsDefaultModel boolean! IsModelLocked boolean! Language picklist! MasterLabel string!
        ModelDescription string!""",
    ),
    # https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_campaigninfluence.htm
    "CampaignInfluence": (
        "0C2",
        """CampaignId >Campaign* OpportunityId >Opportunity* ContactId >Contact ModelId >CampaignInfluenceModel* Influence percent
        RevenueShare currency!""",
    ),
    "Task": (
        "00T",
        """WhoId >Contact,Lead WhatId >Opportunity,Account Subject string ActivityDate date Status picklist Priority picklist
        IsHighPriority boolean! OwnerId >User Description textarea IsClosed boolean! AccountId >Account! IsArchived boolean!
        TaskSubtype picklist CompletedDateTime datetime!""",
    ),
    "Event": (
        "00U",
        """WhoId >Contact,Lead WhatId >Opportunity,Account Subject string Location string IsAllDayEvent boolean ActivityDateTime datetime
        ActivityDate date DurationInMinutes int StartDateTime datetime EndDateTime datetime Description textarea AccountId >Account!
        OwnerId >User IsPrivate boolean ShowAs picklist IsChild boolean! IsArchived boolean! EventSubtype picklist""",
    ),
    "User": (
        "005",
        "Username string Name string! FirstName string LastName string* Email email IsActive boolean UserType picklist! Title string",
    ),
    "PermissionSet": ("0PS", "Name string* Label string* Description string IsOwnedByProfile boolean!"),
    "PermissionSetAssignment": ("0Pa", "PermissionSetId >PermissionSet* AssigneeId >User*"),
    "FieldPermissions": (
        "01k",
        "ParentId >PermissionSet* SobjectType picklist* Field picklist* PermissionsRead boolean PermissionsEdit boolean",
    ),
}
# Objects without a recycle-bin flag (object reference, field lists).
NO_BIN = {
    "User", "OpportunityStage", "LeadStatus", "PermissionSet", "PermissionSetAssignment", "FieldPermissions", "CampaignInfluenceModel",
    "CampaignInfluence",
}  # fmt: skip
# Fields that are set when a row is made and never again (object reference: Create, not Update).
ONCE = {"CampaignInfluence": {"CampaignId", "OpportunityId", "ContactId", "ModelId"}}
INFLUENCE = ("CampaignInfluence", "CampaignInfluenceModel")  # there only where Customizable Campaign Influence is switched on
# Objects whose rows have no SystemModstamp: only CreatedDate orders them.
CREATED_ONLY = {"OpportunityFieldHistory", "LeadHistory"}
# Bulk API 2.0 refuses these with INVALIDENTITY. Source: recorded by other connectors, see vendor notes on Bulk API 2.0 limits.
NOT_IN_BULK = {"OpportunityStage", "LeadStatus", "OpportunityFieldHistory", "LeadHistory", "PermissionSet", "FieldPermissions"}
LENGTHS = {"string": 255, "picklist": 255, "email": 80, "phone": 40, "url": 255, "textarea": 32000, "id": 18, "reference": 18}
SOAP = {"id": "tns:ID", "reference": "tns:ID", "boolean": "xsd:boolean", "datetime": "xsd:dateTime", "date": "xsd:date", "int": "xsd:int"}
NUMBERS = {"int", "double", "currency", "percent"}
PICKLISTS: dict[str, tuple[str, ...]] = {
    "LeadSource": ("Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other"),
    "AccountSource": ("Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other"),
    "ForecastCategory": ("Omitted", "Pipeline", "BestCase", "MostLikely", "Forecast", "Closed"),
    "ForecastCategoryName": ("Omitted", "Pipeline", "Best Case", "Most Likely", "Commit", "Closed"),
    "Rating": ("Hot", "Warm", "Cold"),
}
# label, probability, closed, won, ForecastCategory: a new org's sales process.
STAGES: tuple[tuple[str, float, bool, bool, str], ...] = (
    ("Prospecting", 10, False, False, "Pipeline"),
    ("Qualification", 10, False, False, "Pipeline"),
    ("Needs Analysis", 20, False, False, "Pipeline"),
    ("Value Proposition", 50, False, False, "Pipeline"),
    ("Id. Decision Makers", 60, False, False, "Pipeline"),
    ("Perception Analysis", 70, False, False, "Pipeline"),
    ("Proposal/Price Quote", 75, False, False, "Pipeline"),
    ("Negotiation/Review", 90, False, False, "Pipeline"),
    ("Closed Won", 100, True, True, "Closed"),
    ("Closed Lost", 0, True, False, "Omitted"),
)
LEAD_STATUSES: tuple[tuple[str, bool], ...] = (
    ("Open - Not Contacted", False),
    ("Working - Contacted", False),
    ("Closed - Converted", True),
    ("Closed - Not Converted", False),
)
FORECAST_NAMES = dict(zip(PICKLISTS["ForecastCategory"], PICKLISTS["ForecastCategoryName"], strict=True))


@dataclass(frozen=True)
class FieldType:
    name: str
    type: str
    writable: bool = True
    required: bool = False
    refers: tuple[str, ...] = ()
    label: str = ""
    length: int = 0
    custom: bool = False
    external_id: bool = False
    unique: bool = False
    calculated: bool = False

    @property
    def relationship(self) -> str | None:
        if not self.refers:
            return None
        return self.name[:-1] + "r" if self.custom else self.name.removesuffix("Id")


Schema = dict[str, FieldType]


def checksum(id15: str) -> str:
    """The 18-character form of a 15-character id: three letters that say which characters are upper case."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
    parts = (id15[i : i + 5] for i in (0, 5, 10))
    return id15 + "".join(letters[sum(1 << i for i, c in enumerate(part) if "A" <= c <= "Z")] for part in parts)


def to18(value: Any) -> Any:
    """Any spelling of an id as 18 characters; what is not an id comes back as it is."""
    return checksum(value[:15]) if isinstance(value, str) and len(value) in (15, 18) and value[:15].isalnum() else value


def make_id(prefix: str, number: int) -> str:
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    text = ""
    while number:
        number, rest = divmod(number, 62)
        text = digits[rest] + text
    return checksum(prefix + text.rjust(12, "0"))


def _parse(text: str) -> Schema:
    words = text.split()
    fields: Schema = {}
    for name, kind in zip(words[::2], words[1::2], strict=True):
        bare = kind.rstrip("!*")
        refers = tuple(bare[1:].split(",")) if bare.startswith(">") else ()
        type_ = "reference" if refers else bare
        label = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.removesuffix("Id") if refers else name)
        fields[name] = FieldType(name, type_, not kind.endswith("!"), kind.endswith("*"), refers, label, LENGTHS.get(type_, 0))
    return fields


def schemas() -> dict[str, Schema]:
    """Fresh schemas of all objects, to which an org may add custom fields."""
    out: dict[str, Schema] = {}
    for name, (_, text) in OBJECTS.items():
        fields = _parse(SYSTEM + " " + text)
        if name in NO_BIN:
            del fields["IsDeleted"]
        if name in CREATED_ONLY:
            for gone in ("SystemModstamp", "LastModifiedDate", "LastModifiedById"):
                del fields[gone]
        out[name] = fields
    return out


def custom_field(spec: Mapping[str, Any]) -> FieldType:
    """A custom field from a seed's or the Tooling API's description."""
    kinds = {"text": "string", "number": "double", "checkbox": "boolean", "longtextarea": "textarea", "lookup": "reference"}
    given = str(spec.get("type") or "string").lower()
    kind = kinds.get(given, given)
    refers = tuple(spec.get("referenceTo") or ()) if kind == "reference" else ()
    return FieldType(
        str(spec["name"]),
        kind,
        writable=not spec.get("calculated", False),
        refers=refers,
        label=str(spec.get("label") or spec["name"]),
        length=int(spec.get("length") or LENGTHS.get(kind, 0)),
        custom=True,
        external_id=bool(spec.get("externalId")),
        unique=bool(spec.get("unique")),
        calculated=bool(spec.get("calculated")),
    )


def describe_field(field: FieldType, picklist: Iterable[str]) -> dict[str, Any]:
    """One entry of `fields` in a describe answer."""
    return {
        "aggregatable": field.type != "address",
        "calculated": field.calculated,
        "compoundFieldName": None,
        "createable": field.writable,
        "custom": field.custom,
        "defaultedOnCreate": field.type == "boolean",
        "externalId": field.external_id,
        "filterable": field.type not in ("address", "anyType", "textarea"),
        "groupable": field.type in ("string", "picklist", "reference", "boolean", "date", "email", "id"),
        "idLookup": field.name == "Id" or field.external_id,
        "label": field.label,
        "length": field.length,
        "name": field.name,
        "nameField": field.name == "Name",
        "nillable": not field.required and field.type not in ("boolean", "id"),
        "permissionable": field.custom,
        "picklistValues": [{"active": True, "defaultValue": False, "label": v, "validFor": None, "value": v} for v in picklist],
        "precision": 18 if field.type in NUMBERS else 0,
        "referenceTo": list(field.refers),
        "relationshipName": field.relationship,
        "restrictedPicklist": False,
        "scale": 0 if field.type == "int" or field.type not in NUMBERS else 2,
        "soapType": SOAP.get(field.type, "xsd:double" if field.type in NUMBERS else "xsd:string"),
        "sortable": field.type not in ("address", "textarea"),
        "type": field.type,
        "unique": field.unique,
        "updateable": field.writable,
    }


def describe_object(name: str, version: str) -> dict[str, Any]:
    """One entry of the global describe."""
    base = f"/services/data/v{version}/sobjects/{name}"
    writable = name not in CREATED_ONLY and name not in ("OpportunityHistory", "OpportunityStage", "LeadStatus")
    return {
        "activateable": False,
        "createable": writable,
        "custom": False,
        "customSetting": False,
        "deletable": writable and name != "User",
        "deprecatedAndHidden": False,
        "keyPrefix": OBJECTS[name][0],
        "label": re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name),
        "labelPlural": re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name) + "s",
        "layoutable": True,
        "mergeable": name in ("Account", "Contact", "Lead"),
        "name": name,
        "queryable": True,
        "replicateable": name not in ("FieldPermissions",),
        "retrieveable": True,
        "searchable": writable,
        "triggerable": writable,
        "undeletable": writable and name not in NO_BIN,
        "updateable": writable,
        "urls": {"sobject": base, "describe": f"{base}/describe", "rowTemplate": base + "/{ID}"},
    }
