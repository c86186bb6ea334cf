"""Addresses of records in their vendors' own surfaces."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import TundishError
from jobs.wiring import Hub


@dataclass(frozen=True)
class Pages:
    """`settings` by account, of those that can be looked up now."""

    hub: Hub
    settings: Mapping[str, Mapping[str, str]]

    def of(self, account: str, resource: str, vendor_id: str, attributes: Mapping[str, Any] | None = None) -> str:
        """ "" where the vendor has no such page, or the setting is missing that says where it is."""
        connector = self.hub.connectors.get(account)
        if connector is None or connector.page is None or account not in self.settings:
            return ""
        return connector.page(self.settings[account], resource, vendor_id, attributes or {})

    def advice(self, accounts: Iterable[str]) -> str:
        """What to set to have links into these accounts; "" for nothing."""
        missing = [
            name for name in dict.fromkeys(accounts)
            if (c := self.hub.connectors.get(name)) and c.page and "app_url" in {s.name for s in c.settings}
        ]  # fmt: skip
        return f"for links to {', '.join(missing)}: give the account's `app_url` in config.yaml" if missing else ""


def pages(hub: Hub, accounts: Sequence[str] = ()) -> Pages:
    """Of these accounts, or all. An account whose secrets are not there has no links; nothing is asked over the network."""
    settings = {}
    for name in accounts or list(hub.config.accounts):
        try:
            settings[name] = hub.config.settings(name, hub.connectors[name], os.environ)
        except (TundishError, KeyError):  # KeyError: an account that is in the lake and not in the config any more
            continue
    return Pages(hub, settings)
