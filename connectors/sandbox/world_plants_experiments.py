"""Planted discrepancies and near misses of experiments: samples, visitors in two variants, tests in each other's way (X-01 to X-04)."""

from __future__ import annotations

from connectors.sandbox.world_model import Draft, Person, Shown
from connectors.sandbox.world_names import DAY
from connectors.sandbox.world_optimizely import FIRST_EXPERIMENT, price_decision
from connectors.sandbox.world_plants_people import someone
from connectors.sandbox.world_vwo import COUNTED_IDS, ODD
from connectors.sandbox.world_web import web_ids


def _test(draft: Draft, name: str) -> Shown:
    """A VWO test, which is then there."""
    draft.odd.add(name)
    return Shown("vwo", "campaigns", str(ODD[name][0]))


def x01(draft: Draft, n: int) -> None:
    draft.plant("X-01", "200 against 300 visitors, planned half and half", _test(draft, "X-01"), about="X-01")


def x01_decoy(draft: Draft, n: int) -> None:
    draft.decoy("X-01", "300 against 200 visitors, planned three to two", _test(draft, "X-01 as planned"))
    draft.decoy("X-01", "270 against 230 visitors, planned half and half: that happens", _test(draft, "X-01 by chance"))


def _visitor(draft: Draft, n: int) -> Person:
    """A lead by the web, who was on the page with the prices while the test ran there."""
    person = someone(draft, "lead", n)
    person.client_id = f"{1_400_000_000 + person.number}.{1_700_000_000 + person.number}"
    return person


def x02(draft: Draft, n: int) -> None:
    person = _visitor(draft, n)
    visitor, first = web_ids(person.client_id or "")[0], person.created + 2 * DAY
    shown = [(visitor, 0, first), (visitor, 1, first + 7 * DAY)]
    draft.shown += shown
    seen = [Shown("optimizely", "exposures", ":".join(map(str, row))) for row in map(price_decision, shown)]
    draft.plant("X-02", "shown one variant, and the other a week later, when the shares had been changed", *seen)


def x02_decoy(draft: Draft, n: int) -> None:
    draft.decoy("X-02", "shown one variant", _visitor(draft, n))


def _counted(draft: Draft, name: str) -> Shown:
    draft.odd.add(name)
    return Shown("vwo", "campaigns", str(COUNTED_IDS[name]))


def x03(draft: Draft, n: int) -> None:
    """Two tests, each wrong in one number."""
    draft.plant("X-03", "five of sixty refused web analytics, not the test", _counted(draft, "X-03"), about="X-03")
    draft.plant("X-03", "as many visitors; of thirty forms two were not told", _counted(draft, "X-03 goals"), about="X-03 goals")


def x03_decoy(draft: Draft, n: int) -> None:
    draft.decoy("X-03", "one of sixty refused, and one form of thirty was not told", _counted(draft, "X-03 near"))
    draft.decoy("X-03", "far apart, and begun before web analytics tells of anything", _counted(draft, "X-03 unread"))


def x04(draft: Draft, n: int) -> None:
    form = Shown("optimizely", "experiments", str(FIRST_EXPERIMENT + 100))
    draft.plant("X-04", "a VWO test on the page of a running Optimizely test", _test(draft, "X-04"), form, about="X-04")


def x04_decoy(draft: Draft, n: int) -> None:
    price = Shown("optimizely", "experiments", str(FIRST_EXPERIMENT))
    draft.decoy("X-04", "a VWO test on a page whose Optimizely test is over", _test(draft, "X-04 later"), price)


CASES = (x01, x01_decoy, x02, x02_decoy, x03, x03_decoy, x04, x04_decoy)
