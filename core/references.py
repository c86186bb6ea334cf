"""Secrets by reference: `${NAME}` (environment), `file:path`, `keyring:service/name`. Values are looked up late and kept nowhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from core.errors import CredentialsError

_ENV = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_KINDS = ("file:", "keyring:")


def is_reference(text: str) -> bool:
    """True when the text names where a secret is kept, and holds none itself."""
    return bool(_ENV.fullmatch(text)) or text.startswith(_KINDS)


def mentions_environment(text: str) -> bool:
    return bool(_ENV.search(text))


def broken_reference(text: str) -> str | None:
    """What is wrong with the way a reference is written, None when nothing is."""
    if "${" in _ENV.sub("", text):
        return "an environment variable is written ${NAME}, with letters, digits and _"
    if text.startswith("keyring:") and not re.fullmatch(r"keyring:[^/]+/.+", text):
        return "a keyring entry is written keyring:service/name"
    return None


def resolve(text: str, setting: str, folder: Path, environ: Mapping[str, str]) -> str:
    """The value behind the text; the text itself when it is no reference. `setting` is what messages call it.

    Raises: CredentialsError when the variable is not set, the file cannot be read, or the keyring has no such entry.
    """
    if text.startswith("file:"):
        return _from_file(text.removeprefix("file:"), setting, folder)
    if text.startswith("keyring:"):
        return _from_keyring(text.removeprefix("keyring:"), setting)
    for name in _ENV.findall(text):
        if not environ.get(name):
            raise CredentialsError(
                f"the environment variable {name} is not set", where=setting, next_step=f"export {name}=…, then run again"
            )
    return _ENV.sub(lambda match: environ[match[1]], text)


def _from_file(path: str, setting: str, folder: Path) -> str:
    try:
        value = (folder / Path(path).expanduser()).read_text(encoding="utf-8").strip()
    except OSError as e:
        raise CredentialsError(
            f"cannot read the secret file {path}: {e.strerror}", where=setting, next_step="check path and permissions"
        ) from e
    if not value:
        raise CredentialsError(f"the secret file {path} is empty", where=setting, next_step="put the secret on its first line")
    return value


def _from_keyring(entry: str, setting: str) -> str:
    import keyring  # takes 0.1 s; only who uses it pays

    service, _, name = entry.partition("/")
    value = keyring.get_password(service, name)
    if not value:
        raise CredentialsError(f"the keyring has no entry {entry}", where=setting, next_step=f"keyring set {service} {name}")
    return str(value)
