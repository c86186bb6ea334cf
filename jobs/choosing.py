"""Which changes of a plan or a run a command is about, as people choose them on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import click

from core.errors import TundishError, UserError

SHORT = 8  # characters of a change's id that are shown, and the fewest that name one


class Chosen(Protocol):
    """What can be chosen: changes, wishes and what is held back."""

    @property
    def account(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def vendor_id(self) -> str: ...
    @property
    def field(self) -> str: ...
    @property
    def rule(self) -> str: ...


@dataclass(frozen=True)
class Choice:
    """Words of one kind: any of them is enough. Of several kinds: each must fit. `resources`: (account, target) → resource."""

    only: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    records: frozenset[tuple[str, str, str]] = frozenset()
    fields: frozenset[str] = frozenset()
    resources: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.only or self.rules or self.accounts or self.records or self.fields)

    def __str__(self) -> str:
        kinds = {"only": self.only, "rule": self.rules, "account": self.accounts, "field": self.fields}
        words = [f"--{name} {word}" for name, chosen in kinds.items() for word in sorted(chosen)]
        return " ".join([*words, *(f"--record {':'.join(record)}" for record in sorted(self.records))])

    def keeps(self, change: Chosen) -> bool:
        kinds = ((self.rules, change.rule), (self.accounts, change.account), (self.fields, change.field))
        return all(not wanted or word in wanted for wanted, word in kinds) and self._record(change) and self._only(change)

    def fits(self, finding: Mapping[str, Any]) -> bool:
        """The same of a finding, as the lake keeps it or opened: one of its records is enough."""
        records = finding["records"] or []
        keys = [tuple(key) for key in (json.loads(records) if isinstance(records, str) else records)]
        by_account = not self.accounts or any(key[0] in self.accounts for key in keys)
        return by_account and (not self.rules or finding["rule"] in self.rules) and (not self.records or bool(self.records & set(keys)))

    def _record(self, change: Chosen) -> bool:
        resource = self.resources.get((change.account, change.target), change.target)
        names = {(change.account, name, change.vendor_id) for name in (resource, change.target)}
        return not self.records or bool(names & self.records)

    def _only(self, change: Chosen) -> bool:
        id_ = str(getattr(change, "change_id", ""))
        words = {change.account, change.target, change.field, change.rule, change.vendor_id}
        return not self.only or bool(words & self.only) or any(len(w) >= SHORT and id_.startswith(w) for w in self.only)

    def of(self, changes: Iterable[Any], next_step: str) -> list[Any]:
        """The chosen ones.

        Raises: UserError when something was chosen and nothing is it, or when a change, record or field named is nowhere among them:
        who names two and gets one has mistyped the other.
        """
        given = list(changes)
        found = [c for c in given if self.keeps(c)]
        if self and not found:
            raise UserError(f"{self} matches no change{_too_short(self)}", next_step=next_step)
        for one in self._words():
            if not any(one.keeps(c) for c in given):
                raise UserError(f"{one} matches no change{_too_short(one)}; nothing was done", next_step=next_step)
        return found

    def _words(self) -> list[Choice]:
        """A choice for each change, record and field that is named."""
        return [
            *(Choice(only=frozenset({word})) for word in sorted(self.only)),
            *(Choice(records=frozenset({record}), resources=self.resources) for record in sorted(self.records)),
            *(Choice(fields=frozenset({name})) for name in sorted(self.fields)),
        ]


EVERYTHING = Choice()


def _too_short(choice: Choice) -> str:
    return f"; an id needs its first {SHORT} characters" if any(len(word) < SHORT for word in choice.only) else ""


def completed(listed: Callable[[Any], Iterable[str]]) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """What the shell offers: the ids that `listed` finds in an open hub; nothing where the config cannot be opened."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        from jobs.wiring import open_hub

        try:
            with open_hub(ctx.find_root().params["config_path"]) as hub:
                return [id_ for id_ in listed(hub) if id_.startswith(incomplete)]
        except TundishError:
            return []

    return complete


def choice_options(only: bool = True) -> Callable[[Any], Any]:
    """The options a `Choice` is made of; `only` is for changes that exist already."""
    options = [
        click.option("--rule", "rules", multiple=True, help="Only fixes of this rule, e.g. D-01 (repeatable)."),
        click.option("--account", "accounts", multiple=True, help="Only this account (repeatable)."),
        click.option("--record", "records", multiple=True, metavar="ACCOUNT:RESOURCE:ID", help="Only this record (repeatable)."),
        click.option("--field", "fields", multiple=True, help="Only this field or event (repeatable)."),
    ]
    if only:
        help_ = "Only this change; also an account, target, field, rule or record id (repeatable)."
        options.insert(0, click.option("--only", multiple=True, metavar="CHANGE", help=help_))

    def decorate(f: Any) -> Any:
        for option in reversed(options):
            f = option(f)
        return f

    return decorate


def choice_of(
    hub: Any,
    past: bool = False,
    /,
    *,
    only: Sequence[str] = (),
    rules: Sequence[str] = (),
    accounts: Sequence[str] = (),
    records: Sequence[str] = (),
    fields: Sequence[str] = (),
) -> Choice:
    """past: the rules and accounts need not exist any more. Raises: UserError for a rule, account or record that cannot be."""
    from jobs.steps import check_rules

    if rules and not past:
        check_rules(rules)
    if not past:
        hub.accounts(accounts)
    keys = [tuple(r.split(":", 2)) for r in records]
    if wrong := [r for r, key in zip(records, keys, strict=True) if len(key) != 3]:
        raise UserError(f"not a record: {wrong[0]!r}", next_step="write ACCOUNT:RESOURCE:ID, e.g. hubspot:contacts:151")
    named = frozenset((a, r, i) for a, r, i in keys)
    resources = {(account, t.name): t.resource for account, c in hub.connectors.items() for t in c.targets}
    return Choice(frozenset(only), frozenset(rules), frozenset(accounts), named, frozenset(fields), resources)
