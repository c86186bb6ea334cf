"""What a connector is: one frozen value that describes a vendor. Data wherever it is data.

A connector's functions ask and answer; they never diff, decide, retry, sleep, log, store or read the clock.
Retries, budgets, redaction, time-outs and the read-only rule live in `core.http`, under every vendor client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pydantic import BaseModel

    from core.http import Transport

State = dict[str, Any]  # JSON-able; versioned by the key "v"
FaultKind = Literal[
    "throttled",  # wait, then again (retry_after_s if the vendor says)
    "exhausted",  # the day's allowance is gone: stop this account, keep what is committed
    "transient",  # 5xx, cut connection, lock: again with back-off
    "expired",  # renew the token once, then again
    "unauthorised",  # the credential is wrong: stop, name the setting
    "forbidden",  # a scope is missing: this resource fails, the run is partial
    "missing",  # 404
    "refused",  # the request is wrong: never again as it is
]


@dataclass(frozen=True)
class Setting:
    """One thing a user gives to connect an account. Secrets come only as ${ENV}, file: or keyring: references."""

    name: str
    help: str
    secret: bool = False
    required: bool = True
    default: str | None = None
    path: bool = False  # a place in the file system, relative to the config


@dataclass(frozen=True)
class Bucket:
    """One allowance of the vendor: at most `calls` per `window_s` seconds and `concurrent` at once.

    A request spends from every bucket whose `match` (a regular expression on the path) fits. `count_header` names the
    response header that carries the vendor's own remaining count, where there is one; `reserve_share` is left for
    other tools of the same account. `across`: one call a window also over processes, because a refusal costs much more
    than a call; for buckets of one call only.
    """

    name: str
    calls: int
    window_s: float
    match: str = ""
    exclude: str = r"(?!)"
    concurrent: int | None = None
    reserve_share: float = 0.0
    across: bool = False


@dataclass(frozen=True)
class Fault:
    """A vendor's refusal in our words. `message` is one sentence without secrets or personal data."""

    kind: FaultKind
    code: str
    message: str
    retry_after_s: float | None = None


@dataclass(frozen=True)
class Ask:
    """One read of one resource. `fields` are the vendor paths the mapping needs (attributes included).

    `state` is what the last committed page of an earlier read left (None: never read). `full` asks for everything
    again. `since` limits a first read. `now` is the run's start. `known_ids(resource)` yields lists of live vendor
    ids already in the lake, for resources that are read by id. `linked_ids(name)` yields lists of distinct ids I that
    live persons, companies and deals of any account carry as a link "<this vendor>:<name>:I", for what is read by a
    visitor's id that only a CRM knows. `extra_overlap_s` is what the user wants read again before the cursor, on top of the
    resource's own overlap (in whole days where a vendor counts by the day); what goes by no cursor has nothing to read again.
    """

    resource: str
    fields: tuple[str, ...]
    now: datetime
    state: State | None = None
    full: bool = False
    since: datetime | None = None
    known_ids: Callable[[str], Iterator[Sequence[str]]] = lambda resource: iter(())
    linked_ids: Callable[[str], Iterator[Sequence[str]]] = lambda name: iter(())
    options: Mapping[str, str] = field(default_factory=dict)
    extra_overlap_s: float = 0.0
    reads: Any = None  # of a resource made from a template: its options, an instance of `Resource.template`
    types: Mapping[str, str] = field(default_factory=dict)  # vendor path → how the mapping reads it (money, date, …), where that is no text
    timezone: str = "UTC"  # the organisation's, for times written without one


@dataclass(frozen=True)
class Page:
    """Raw rows as they came. `rows` is the dotted path to the list inside `body` ("" when the body is the list).

    `state` is committed together with this page's rows; a later read started from it must continue right after them.
    `total` is the vendor's own count for the whole pass this page belongs to, None when it does not say.
    `context` are constants every row of the page gets beside its own keys (under "context.<name>" in mappings).
    `present` marks a page of a pass that lists every live row (the basis of the sweep for vanished ones); `whole` says so
    of a read that goes on from a state: its pages are all there is, and what they do not list is gone.
    `place(i)` says where row i stands ("leads.csv:17"), for the reasons of rejects. `rejects` are (place, reason) of rows
    the connector itself could not make out, `unread` (label, place, reason) of values it had to leave empty. `left` says
    what had to be left out of this read, and why: the run is partial until a later one brings it. `note` is worth knowing
    and nothing is missing.
    `covers` are the first and last day, both included, whose tallies the read lists whole: what the lake has of these days
    and the read does not list again is marked deleted when it ends. So a restated day is replaced, never added to.
    `unfinished`: why the read is not at its end although no page follows now (the vendor still computes; no more calls in
    one run), as a sentence without a full stop. The run is partial for that reason; the next one goes on from `state`.
    """

    body: bytes
    rows: str
    state: State
    format: Literal["json", "csv"] = "json"
    total: int | None = None
    pass_name: str = "main"
    context: Mapping[str, str] = field(default_factory=dict)
    present: bool = False
    whole: bool = False
    place: Callable[[int], str] | None = None
    rejects: Sequence[tuple[str, str]] = ()
    unread: Sequence[tuple[str, str, str]] = ()
    left: str = ""
    note: str = ""
    covers: tuple[date, date] | None = None
    unfinished: str = ""


@dataclass(frozen=True)
class Resource:
    """Something pulled. `read` yields pages lazily, one request each; the core iterates one page ahead.

    A resource with a `template` is a pattern: it is not read itself, but a mapping's `reads` makes resources like it, with
    options of that shape (a pydantic model; a field `key` replaces this `key`). A report, or a table of a folder.
    """

    name: str
    read: Callable[[Any, Ask], Iterator[Page]]
    key: str = "id"  # path of the vendor id inside a row
    after: tuple[str, ...] = ()  # resources that must be complete first
    cursor: str | None = None  # vendor field the increments go by; None: read whole each time
    overlap_s: float = 0.0
    deletes: Literal["flag", "feed", "sweep", "none"] = "none"
    history: str | None = None  # how stage changes are known, in words
    completeness: str = ""  # what the counts are compared with, in words
    stamped: bool = False  # every row carries its own modification stamp (allows skipping whole unchanged pages)
    traps: tuple[str, ...] = ()
    template: type[BaseModel] | None = None
    linked: str = ""  # reads by `Ask.linked_ids` of this name: its account is pulled after those whose records carry them


@dataclass(frozen=True)
class Write:
    """New values for one vendor record. A value of None clears the field; a field not named is left alone.

    `key` is our own id of this write, echoed in the result. A field "tag:PREFIX" stands for the one tag that begins so.
    To a target of kind "events" it is one event of the visitor `vendor_id` (see `Target`). `before` is what stood there a moment
    ago: what takes more than one request may go on only from there.
    """

    key: str
    vendor_id: str
    values: Mapping[str, Any]
    before: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WriteResult:
    key: str
    ok: bool
    code: str = ""
    message: str = ""
    retryable: bool = False


@dataclass(frozen=True)
class Target:
    """Something pushed to. `write` sends one batch of at most `batch_size`; `read_back` gives current values.

    `read_back(session, vendor_ids, fields)` → {vendor_id: {field: value}}; a record that is gone is left out.
    `ensure(session, fields)` creates missing hub-owned fields and returns the names it created.

    A target of kind "events" takes things that happened instead of fields. Its `resource` names the vendor's visitors
    (as in links "vendor:resource:id"), pulled or not, and nothing is read back. A write's `values` are "event" (the
    name), "id" (UUID text, the same for the same event for ever), "occurred_at" (ISO 8601 instant in UTC), "value"
    (decimal text or None), "currency" (ISO 4217 or None), and the mapping's params by name (texts). `max_age_s`: how old
    an event the vendor accepts (None: any age). Not `idempotent`: an event whose reply was lost is never sent again. `write` yields
    each result as its reply arrives: what has none when it raises was not sent, or is the one whose reply was lost.

    A target of kind "links" takes pairs of records of its `ends` instead of records: `vendor_id` is "deal:campaign" in the vendor's
    own ids, a value of None takes the pair away, and `read_back` answers for every pair. Its `resource` is not pulled.
    """

    name: str
    resource: str
    batch_size: int
    write: Callable[[Any, Sequence[Write]], Iterable[WriteResult]]
    read_back: Callable[[Any, Sequence[str], Sequence[str]], Mapping[str, Mapping[str, Any]]] | None = None  # None: events only
    match_key: str = "id"
    partial_failure: str = ""
    idempotent: bool = True
    ensure: Callable[[Any, Sequence[PushField]], Sequence[str]] | None = None
    kind: Literal["fields", "events", "links"] = "fields"
    ends: tuple[str, str] | None = None  # of a target of kind "links": the resources of a deal and a campaign
    max_age_s: float | None = None
    needs: tuple[str, ...] = ()  # settings without which the target is left out of plans (optional ones of the account)

    def current(self, session: Any, vendor_ids: Sequence[str], fields: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """What `read_back` gives. Raises: TypeError for a target that has none."""
        if self.read_back is None:
            raise TypeError(f"target {self.name!r} of kind {self.kind!r} reads nothing back")
        return self.read_back(session, vendor_ids, fields)


@dataclass(frozen=True)
class PushField:
    """A field the hub owns in a vendor's records, enough to create it. type: text number boolean date datetime."""

    target: str
    name: str
    label: str
    type: str = "text"


@dataclass(frozen=True)
class LiveField:
    """A field the live account has: what `discover` prints, `check` compares a mapping with, and a plan's values must fit.

    `length` is the most characters it takes (0: the vendor does not say), `restricted` that it takes its options only,
    `scope` what the ids of the records begin with that this definition is for ("" for all).
    """

    resource: str
    path: str
    label: str
    type: str
    options: tuple[str, ...] = ()
    writable: bool = True
    calculated: bool = False
    required: bool = False
    restricted: bool = True
    length: int = 0
    scope: str = ""


@dataclass(frozen=True)
class LiveStage:
    record_kind: str
    pipeline_id: str
    pipeline_label: str
    stage_id: str
    label: str
    position: int
    closed: bool
    won: bool
    probability: float | None = None


@dataclass(frozen=True)
class Live:
    fields: tuple[LiveField, ...]
    stages: tuple[LiveStage, ...] = ()


@dataclass(frozen=True)
class Made:
    """A resource of the user's own making: like which template, with which options (an instance of its model)."""

    like: str
    options: Any


def _made(template: Resource, name: str, options: Any) -> Resource:
    return replace(template, name=name, template=None, key=getattr(options, "key", None) or template.key)


@dataclass(frozen=True)
class Connector:
    """A vendor. `open(settings, transport)` builds the vendor's official client over our transport."""

    name: str
    title: str
    docs_url: str
    docs_read: str  # date the documentation was read
    settings: tuple[Setting, ...]
    buckets: tuple[Bucket, ...]
    open: Callable[[Mapping[str, str], Transport], Any]
    probe: Callable[[Any], str]  # one cheap call; returns a sentence about the account
    fault: Callable[[int, Mapping[str, str], bytes], Fault]
    resources: tuple[Resource, ...]
    targets: tuple[Target, ...] = ()
    discover: Callable[[Any], Live] | None = None
    draft: Callable[[Any], str] | None = None  # a mapping made for what the account holds, where no shipped one fits; "": none can be
    read_limits: Callable[[Mapping[str, str]], Iterable[tuple[str, int, int]]] | None = None  # headers → (bucket, remaining, limit)
    safe_posts: tuple[str, ...] = ()  # regular expressions on paths of POSTs that only read
    cannot: tuple[str, ...] = ()  # what this vendor's API cannot do, for the matrix
    # settings, resource, vendor id, attributes → address of the record's page in the vendor's own surface; "" where it cannot be said
    page: Callable[[Mapping[str, str], str, str, Mapping[str, Any]], str] | None = None
    warnings: Callable[[Mapping[str, str], date], Iterable[tuple[str, str]]] | None = None  # settings, today → (what, next step)

    def readable(self, reads: Mapping[str, Made]) -> tuple[Resource, ...]:
        """The resources that can be read: the vendor's own, and those a mapping makes from its templates."""
        own = tuple(r for r in self.resources if r.template is None)
        return own + tuple(_made(self.resource(made.like), name, made.options) for name, made in reads.items())

    def resource(self, name: str) -> Resource:
        return next(r for r in self.resources if r.name == name)

    def target(self, name: str) -> Target:
        return next(t for t in self.targets if t.name == name)
