"""Planted discrepancies and near misses of consent (C-02 C-04 C-06)."""

from __future__ import annotations

from connectors.sandbox.world_model import Draft
from connectors.sandbox.world_names import DAY, HOUR
from connectors.sandbox.world_partners import ACTIVE, UNSUBSCRIBED, known_there
from connectors.sandbox.world_plants_people import someone


def c02(draft: Draft, n: int) -> None:
    person = someone(draft, "subscriber", n, audiences=(n % 2,))
    person.opted_out = True
    draft.plant("C-02", "opted out in the CRM, subscribed in Mailchimp", person)
    partner = known_there(someone(draft, "subscriber", n), ACTIVE)
    partner.opted_out = True
    draft.plant("C-02", "opted out in the CRM, active in ActiveCampaign", partner)
    later = someone(draft, "subscriber", n, audiences=(n % 2,))
    later.opted_out, later.opted_out_at = True, draft.now - 20 * DAY
    later.memberships[0].signed_up = later.memberships[0].changed = draft.now - DAY - HOUR
    draft.plant("C-02", "subscribed again after the opt-out: a person decides", later)


def c02_decoy(draft: Draft, n: int) -> None:
    everywhere = known_there(someone(draft, "subscriber", n, audiences=(0,), status="unsubscribed"), UNSUBSCRIBED)
    everywhere.opted_out = True
    draft.decoy("C-02", "opted out everywhere", everywhere)
    archived = someone(draft, "subscriber", n, audiences=(1,), status="archived")
    archived.opted_out = True
    draft.decoy("C-02", "opted out in the CRM, archived in Mailchimp", archived)


def c04(draft: Draft, n: int) -> None:
    person = someone(draft, "subscriber", n, audiences=(n % 2,), status="pending")
    draft.plant("C-04", "has not confirmed in Mailchimp, mailed by HubSpot", person)


def c04_decoy(draft: Draft, n: int) -> None:
    own = known_there(someone(draft, "subscriber", n, audiences=(0,), status="pending"), ACTIVE)
    own.in_hubspot = False
    draft.decoy("C-04", "has not confirmed in Mailchimp, but has in ActiveCampaign", own)
    quiet = someone(draft, "subscriber", n, audiences=(1,), status="pending")
    quiet.marketing_contact = False
    draft.decoy("C-04", "has not confirmed in Mailchimp, no marketing contact in HubSpot", quiet)


def c06(draft: Draft, n: int) -> None:
    person = someone(draft, "subscriber", n)
    person.opted_out = person.marketing_contact = True
    draft.plant("C-06", "opted out, still billed as a marketing contact", person)


def c06_decoy(draft: Draft, n: int) -> None:
    person = someone(draft, "subscriber", n)
    person.opted_out = True
    draft.decoy("C-06", "opted out, and no marketing contact any more", person)


CASES = (c02, c02_decoy, c04, c04_decoy, c06, c06_decoy)
