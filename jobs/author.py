"""Who wants what is done, for the audit trail: the login name, or the job."""

from __future__ import annotations

import getpass


def author() -> str:
    """The login name of who started the process; "unknown" where the machine knows none (some containers)."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"
