"""Tell people that a job fails, that it goes on failing, and that it is well again: through Apprise.

Alert URLs are secrets (they carry tokens): they are never logged, printed or put into an exception.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

PAUSES = (timedelta(hours=1), timedelta(hours=4), timedelta(hours=24))  # between reminders while trouble lasts; the last repeats
_WORSE = {"partial": 1, "unsafe": 2, "failed": 3}
STATE_BY_EXIT = {0: "done", 3: "partial", 4: "unsafe"}  # every other exit code is "failed"
_SAYS = {
    "failed": "failed",
    "partial": "is incomplete",
    "unsafe": "made a plan that was refused as unsafe",
    "recovered": "is well again",
}


@dataclass(frozen=True)
class Seen:
    """One run of a job that ended. state: done partial unsafe failed. alerted: what was sent after it, "" for nothing."""

    at: datetime
    state: str
    alerted: str = ""


def state_of(exit_code: int) -> str:
    return STATE_BY_EXIT.get(exit_code, "failed")


def should_alert(history: Sequence[Seen], now: datetime) -> str | None:
    """What to send about the last run of `history` (oldest first): failed, partial, unsafe, recovered, or None for silence.

    The first trouble is told at once, and so is a worse one; then after 1, 4 and every 24 hours while it lasts.
    `recovered` is told once, and only where trouble had been told.
    """
    if not history:
        return None
    told = [seen for seen in history if seen.alerted]
    state = history[-1].state
    if state not in _WORSE:
        return "recovered" if told and told[-1].alerted in _WORSE else None
    sent = [seen for seen in _spell(history) if seen.alerted]
    if not sent or _WORSE[state] > max(_WORSE.get(seen.alerted, 0) for seen in sent):
        return state
    pause = PAUSES[min(len(sent), len(PAUSES)) - 1]
    return state if now - sent[-1].at >= pause else None


def _spell(history: Sequence[Seen]) -> list[Seen]:
    """The runs since the last good one."""
    good = max((i for i, seen in enumerate(history) if seen.state not in _WORSE), default=-1)
    return list(history[good + 1 :])


def message(job: str, kind: str, history: Sequence[Seen], detail: str = "") -> tuple[str, str]:
    """Title and body of an alert. `detail` is what the run said; secrets and e-mail addresses are taken out of it."""
    from core.redaction import redact

    title = f"Tundish: {job} {_SAYS[kind]}"
    good = [seen.at for seen in history if seen.state not in _WORSE]
    since = f"Last good run: {good[-1]:%Y-%m-%d %H:%M} UTC." if good else "It has not had a good run yet."
    spell = _spell(history)
    times = f"{len(spell)} runs in a row, the first {spell[0].at:%Y-%m-%d %H:%M} UTC. " if len(spell) > 1 else ""
    lines = [redact(detail).strip(), "" if kind == "recovered" else times + since]
    return title, "\n\n".join(line for line in lines if line)


def history_of(runs: Iterable[Any]) -> list[Seen]:
    """The ledger's runs of one job (newest first) as a history (oldest first).

    The run's detail may hold `exit` (its exit code) and `alerted` (what was sent about it).
    """
    ended = [run for run in runs if run.status != "running"]
    return [Seen(run.ended_at or run.started_at, _state(run), (run.detail or {}).get("alerted", "")) for run in reversed(ended)]


def _state(run: Any) -> str:
    code = (run.detail or {}).get("exit")
    return state_of(code) if code is not None else {"lost": "failed"}.get(run.status, str(run.status))


# -- sending ------------------------------------------------------------------------------------------------------------
def alert(urls: Sequence[str], title: str, body: str) -> tuple[str, ...]:
    """Send to every URL; one that fails stops no other. What could not be told, a sentence each, without the URL's secrets.

    Sends nothing and imports nothing when there are no URLs.
    """
    if not urls:
        return ()
    from core.redaction import remember

    remember(*urls)
    with _silence():
        return tuple(trouble for place, url in enumerate(urls, 1) if (trouble := _send(url, place, title, body)))


def _send(url: str, place: int, title: str, body: str) -> str:
    import apprise

    where = f"alerts[{place}] ({url.partition(':')[0]})"
    channel = apprise.Apprise()
    if not channel.add(url):
        return f"{where}: not a URL that Apprise understands; see `alerts` in the config"
    try:
        sent = channel.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT)
    except Exception as problem:  # a plugin's bug must not fail the job; its text may hold the URL, so only its name is kept
        return f"{where}: could not be sent ({type(problem).__name__})"
    return "" if sent else f"{where}: could not be sent"


@contextmanager
def _silence() -> Iterator[None]:
    """Apprise and the HTTP client log URLs and paths, which are the secret: nothing of theirs is logged meanwhile."""
    loggers = [logging.getLogger(name) for name in ("apprise", "urllib3.connectionpool", "requests")]

    def drop(record: logging.LogRecord) -> bool:
        return False

    for logger in loggers:
        logger.addFilter(drop)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(drop)
