"""Who holds a lease: host/process/what. Tells the living from the killed, where the process was one of this machine."""

from __future__ import annotations

import os
import secrets
import socket

_PROCESS = secrets.token_hex(2)  # a container that starts anew has its old name and process number, and is another process


def holder(what: str) -> str:
    """This process, with what it does in hand."""
    return f"{socket.gethostname()}/{os.getpid()}/{_PROCESS}/{what}"


def dead(holder: str) -> bool:
    """True when the holder was a process of this machine that no longer runs. Another machine's may live: False."""
    host, pid, process, *_ = [*holder.split("/"), "", "", ""]
    if host != socket.gethostname() or not pid.isdigit():
        return False
    if int(pid) == os.getpid():
        return process != _PROCESS
    try:
        os.kill(int(pid), 0)
    except OSError as problem:
        return isinstance(problem, ProcessLookupError)
    return False
