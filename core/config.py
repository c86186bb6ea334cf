"""config.yaml, checked and with its paths resolved. Secrets stay references until an account is opened.

Knows connectors only as values handed in; reads no environment but the one handed in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from core.checked import check
from core.config_document import ConfigDocument, JobDocument, LimitsDocument, Organisation
from core.connector import Connector, Setting
from core.errors import UserError
from core.funnel import Funnel, load_funnel
from core.identity_decisions import Decision, load_identity
from core.mapping import Mapping as VendorMapping
from core.mapping import load_mapping
from core.references import broken_reference, is_reference, mentions_environment, resolve
from core.yaml_positions import Document, did_you_mean, raise_mistakes, read_yaml

SHIPPED = Path(__file__).resolve().parent.parent / "mappings"  # the mappings that come with Tundish
_OPEN_ALERTS = ("json", "jsons", "form", "forms", "xml", "xmls", "syslog", "dbus", "windows", "macosx")
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True)
class Account:
    """One connected account. `settings` may hold references; `Config.settings` looks them up."""

    name: str
    vendor: str
    mapping_path: Path
    settings: Mapping[str, str]
    resources: tuple[str, ...] | None
    push: bool
    where: str  # file:line:column


@dataclass(frozen=True)
class Config:
    path: Path
    organisation: Organisation
    accounts: Mapping[str, Account]
    lake: str
    ledger: str  # an SQLAlchemy URL, perhaps with ${NAME} in it
    engine: str
    funnel_path: Path
    identity_path: Path | None  # None: there is no such file
    jobs: Mapping[str, JobDocument]
    alerts: tuple[str, ...]
    limits: LimitsDocument

    @property
    def folder(self) -> Path:
        return self.path.parent

    def account(self, name: str) -> Account:
        """Raises: UserError for a name that is not in the config."""
        if name not in self.accounts:
            raise UserError(f"no account {name!r}{did_you_mean(name, self.accounts)}", where=str(self.path))
        return self.accounts[name]

    def job(self, name: str) -> JobDocument:
        """Raises: UserError for a name that is not in the config."""
        if name not in self.jobs:
            raise UserError(f"no job {name!r}{did_you_mean(name, self.jobs)}", where=str(self.path))
        return self.jobs[name]

    def settings(self, account: str, connector: Connector, environ: Mapping[str, str]) -> dict[str, str]:
        """The account's settings with the connector's defaults and with secrets looked up. Keep them in memory only.

        Raises: CredentialsError naming the setting whose secret is not there.
        """
        written = self.account(account).settings
        given = {s.name: s.default for s in connector.settings if s.default is not None} | dict(written)
        known = {name: resolve(text, f"accounts.{account}.settings.{name}", self.folder, environ) for name, text in given.items()}
        return known | {s.name: str(self.folder / known[s.name]) for s in connector.settings if s.path and known.get(s.name)}

    def ledger_url(self, environ: Mapping[str, str]) -> str:
        return resolve(self.ledger, "ledger", self.folder, environ)

    def alert_urls(self, environ: Mapping[str, str]) -> tuple[str, ...]:
        """Raises: CredentialsError naming the alert whose secret is not there."""
        return tuple(resolve(url, f"alerts[{i}]", self.folder, environ) for i, url in enumerate(self.alerts))


@dataclass(frozen=True)
class Setup:
    """Everything a run needs from files: the config, each account's mapping, our funnel."""

    config: Config
    mappings: Mapping[str, VendorMapping]  # by account
    funnel: Funnel
    identity: tuple[Decision, ...] = ()


def load_config(path: Path | str, connectors: Mapping[str, Connector]) -> Config:
    """The config in the file. Raises: UserError with one line per mistake, each with file:line:column."""
    document, config = _read(Path(path), connectors)
    raise_mistakes([document])
    assert config is not None  # no mistakes, so there is a config
    return config


def load_setup(path: Path | str, connectors: Mapping[str, Connector]) -> Setup:
    """Config, mappings, funnel and decisions about identity. Raises: UserError with the mistakes of all the files at once."""
    document, config = _read(Path(path), connectors)
    lines = document.lines()
    mappings: dict[str, VendorMapping] = {}
    funnel = Funnel(ladder=[])
    if config is None:
        raise UserError("\n".join(lines))
    for name, account in config.accounts.items():
        if account.vendor in connectors:
            with _collected(lines):
                mappings[name] = load_account_mapping(config, account, connectors[account.vendor])
    with _collected(lines):
        funnel = load_funnel(config.funnel_path, config.accounts).at(config.organisation.timezone)
    identity: tuple[Decision, ...] = ()
    if config.identity_path is not None:
        with _collected(lines):
            identity = load_identity(config.identity_path, {n: mappings[n].resources if n in mappings else None for n in config.accounts})
    if lines:
        raise UserError("\n".join(lines))
    return Setup(config, mappings, funnel, identity)


@contextmanager
def _collected(lines: list[str]) -> Iterator[None]:
    """Mistakes of one file are kept for later; two accounts may share a mapping, whose mistakes count once."""
    try:
        yield
    except UserError as e:
        lines += [line for line in str(e).splitlines() if line not in lines]


def _read(path: Path, connectors: Mapping[str, Connector]) -> tuple[Document, Config | None]:
    """The document with its mistakes noted, and the config of its sound parts."""
    document = read_yaml(path)
    written = check(document, ConfigDocument)
    if written is None:
        return document, None
    _Check(document, connectors).all(written)
    return document, _config(path.resolve(), document, written)


def load_account_mapping(config: Config, account: Account, connector: Connector) -> VendorMapping:
    return load_mapping(account.mapping_path, connector, timezone=config.organisation.timezone, currency=config.organisation.currency)


def _config(path: Path, document: Document, written: ConfigDocument) -> Config:
    folder = path.parent
    accounts = {
        name: Account(
            name=name,
            vendor=account.vendor,
            mapping_path=_file(folder, account.mapping, f"{account.vendor}.yaml"),
            settings={key: _text(value) for key, value in account.settings.items()},
            resources=tuple(account.resources) if account.resources is not None else None,
            push=account.push,
            where=document.where(("accounts", name), key=True),
        )
        for name, account in written.accounts.items()
    }
    return Config(
        path=path,
        organisation=written.organisation,
        accounts=accounts,
        lake=written.lake if "://" in written.lake else str(folder / written.lake),
        ledger=_ledger_url(folder, written.ledger),
        engine=written.engine,
        funnel_path=_file(folder, written.funnel, "funnel.yaml"),
        identity_path=_own(folder, written.identity, "identity.yaml"),
        jobs=written.jobs,
        alerts=tuple(written.alerts),
        limits=written.limits,
    )


def _file(folder: Path, named: str | None, default: str) -> Path:
    """The file the user named, else the user's own beside the config, else the shipped one."""
    if named is not None:
        return folder / named
    own = folder / "mappings" / default
    return own if own.exists() else SHIPPED / default


def _own(folder: Path, named: str | None, default: str) -> Path | None:
    """The file the user named, else the one beside the config, where there is one."""
    if named is not None:
        return folder / named
    return folder / default if (folder / default).exists() else None


def _ledger_url(folder: Path, text: str) -> str:
    if text.startswith("sqlite:///"):
        return f"sqlite:///{folder / text.removeprefix('sqlite:///')}"
    return text if "://" in text or is_reference(text) else f"sqlite:///{folder / text}"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class _Check:
    """What can be wrong in a config beyond its shape."""

    def __init__(self, document: Document, connectors: Mapping[str, Connector]) -> None:
        self.document, self.connectors = document, connectors

    def all(self, written: ConfigDocument) -> None:
        for name, account in written.accounts.items():
            connector = self.connectors.get(account.vendor)
            if connector is None:
                message = f"unknown vendor {account.vendor!r}{did_you_mean(account.vendor, self.connectors)}"
                self.document.wrong(("accounts", name, "vendor"), message)
                continue
            self._settings(name, {key: _text(value) for key, value in account.settings.items()}, connector)
            known = [resource.name for resource in connector.resources]
            made = any(resource.template for resource in connector.resources)  # then the mapping knows more names
            for i, resource in enumerate(account.resources or []):
                if resource not in known and not made:
                    message = f"{connector.name} has no resource {resource!r}{did_you_mean(resource, known)}"
                    self.document.wrong(("accounts", name, "resources", i), message)
        for job, steps in ((job, document.steps) for job, document in written.jobs.items()):
            self._steps(job, steps, list(written.accounts))
        self._places(written)

    def _settings(self, account: str, settings: Mapping[str, str], connector: Connector) -> None:
        known = {setting.name: setting for setting in connector.settings}
        loc = ("accounts", account, "settings")
        for name, value in settings.items():
            if name not in known:
                self.document.wrong((*loc, name), f"{connector.name} has no setting {name!r}{did_you_mean(name, known)}", key=True)
                continue
            broken = broken_reference(value)
            if broken:
                self.document.wrong((*loc, name), broken)
            elif known[name].secret and not is_reference(value) and not _points_to_loopback(settings):
                self.document.wrong((*loc, name), _plain_secret(account, known[name]))
        for setting in known.values():
            if setting.required and setting.default is None and setting.name not in settings:
                self.document.wrong(loc, f"the setting {setting.name!r} is missing: {setting.help}", key=True)

    def _steps(self, job: str, steps: list[str], accounts: list[str]) -> None:
        for i, step in enumerate(steps):
            word, *names = step.split()
            for name in names if word == "sync" else []:
                if not name.startswith("-") and name not in accounts:
                    self.document.wrong(("jobs", job, "steps", i), f"no account {name!r}{did_you_mean(name, accounts)}")

    def _places(self, written: ConfigDocument) -> None:
        if _holds_password(written.ledger):
            self.document.wrong(("ledger",), "the password must not stand in this file; write ${LEDGER_PASSWORD} in its place")
        for i, url in enumerate(written.alerts):
            open_url = urlsplit(url).scheme in _OPEN_ALERTS and "@" not in url
            if not (is_reference(url) or mentions_environment(url) or open_url):
                self.document.wrong(("alerts", i), "an alert URL holds a secret; export ALERT_URL=… and write ${ALERT_URL}")


def _plain_secret(account: str, setting: Setting) -> str:
    name = re.sub(r"[^A-Z0-9]+", "_", f"{account}_{setting.name}".upper())
    return (
        f"{setting.name!r} is a secret and must not stand in this file; export {name}=… and write {setting.name}: ${{{name}}}"
        f" (or file:path, or keyring:service/name)"
    )


def _points_to_loopback(settings: Mapping[str, str]) -> bool:
    """True when every host of the account is this machine: the sandbox's keys open nothing."""
    hosts = [urlsplit(value).hostname for name, value in settings.items() if name.endswith("_url")]
    return bool(hosts) and set(hosts) <= _LOOPBACK


def _holds_password(url: str) -> bool:
    password = urlsplit(url).password if "://" in url else None
    return bool(password) and not mentions_environment(password or "")
