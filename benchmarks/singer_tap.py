"""A Singer tap of HubSpot contacts, as the SDK's own template makes one: a RESTStream, properties made columns."""

from __future__ import annotations

import os
from typing import Any

import leg
from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import BearerTokenAuthenticator


class Contacts(RESTStream):
    name = "contacts"
    path = "/crm/v3/objects/contacts"
    primary_keys = ("id",)
    records_jsonpath = "$.results[*]"
    next_page_token_jsonpath = "$.paging.next.after"
    schema = th.PropertiesList(
        th.Property("id", th.StringType, required=True),
        *(th.Property(name, th.StringType) for name in leg.CONTACT_PROPERTIES),
        th.Property("createdAt", th.DateTimeType),
        th.Property("updatedAt", th.DateTimeType),
        th.Property("archived", th.BooleanType),
    ).to_dict()

    @property
    def url_base(self) -> str:
        return os.environ["SANDBOX_URL"]

    @property
    def authenticator(self) -> BearerTokenAuthenticator:
        return BearerTokenAuthenticator(token=leg.TOKEN)

    def get_url_params(self, context: Any, next_page_token: Any) -> dict[str, Any]:
        asked = {"limit": 100, "properties": ",".join(leg.CONTACT_PROPERTIES)}
        return asked | ({"after": next_page_token} if next_page_token else {})

    def post_process(self, row: dict[str, Any], context: Any = None) -> dict[str, Any]:
        return {**row.pop("properties"), **{k: v for k, v in row.items() if k in self.schema["properties"]}}


class ContactsTap(Tap):
    name = "tap-contacts"
    config_jsonschema = th.PropertiesList().to_dict()

    def discover_streams(self) -> list[RESTStream]:
        return [Contacts(self)]


if __name__ == "__main__":
    ContactsTap.cli(standalone_mode=False)
    leg.done(0)
