"""Files: CSV, TSV, JSON lines and lists, Parquet and Excel exports in a folder, as an account. What they are, as data.

There is no vendor here: which files make which table is the mapping's `reads`. How files are found is in `files_folder`,
how they are read in `files_text`, `files_sheet`, `files_json`, how pages are made of them in `files_read`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from connectors.files_draft import draft
from connectors.files_folder import look
from connectors.files_options import Table
from connectors.files_read import columns, read
from connectors.files_sheet import Unreadable
from connectors.files_table import KEY
from core.connector import Connector, Fault, Live, LiveField, Resource, Setting
from core.errors import UserError
from core.http import Transport

EVERYTHING = [f"**/*.{suffix}" for suffix in ("csv", "tsv", "txt", "json", "jsonl", "ndjson", "xlsx", "xls", "parquet", "gz", "zip")]
LISTED = 100  # so many files are looked into by `discover`


@dataclass(frozen=True)
class Session:
    folder: Path


def open_session(settings: Mapping[str, str], transport: Transport) -> Session:
    """Raises: UserError when the folder is not there."""
    folder = Path(settings["folder"]).expanduser()
    if not folder.is_dir():
        raise UserError(f"the folder {folder} is not there", next_step="make it, or correct the account's setting `folder`")
    return Session(folder)


def probe(session: Session) -> str:
    found, _ = look(session.folder, EVERYTHING)
    kinds = Counter(PurePosixPath(seen.name.lower()).suffix.lstrip(".") for seen in found)
    counted = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items())) or "none yet"
    return f"The folder {session.folder} can be read; export files in it: {counted}"


def discover(session: Session) -> Live:
    """The columns of every file; the file's path stands where other vendors have an object."""
    fields = []
    for seen in look(session.folder, EVERYTHING)[0][:LISTED]:
        try:
            fields += [LiveField(seen.name, name, name, "text", writable=False) for name in columns(seen)]
        except (Unreadable, OSError):
            continue  # a sync says what is wrong with it
    return Live(tuple(fields))


def drafted(session: Session) -> str:
    return draft(session.folder, EVERYTHING)


def fault(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    return Fault("refused", str(status), "a folder answers no requests")  # nothing is ever sent


CONNECTOR = Connector(
    name="files",
    title="Files (CSV, Excel, JSON, Parquet)",
    docs_url="https://www.rfc-editor.org/rfc/rfc4180",
    docs_read="2026-11-25",
    settings=(Setting("folder", "Folder with the exports; a path relative to config.yaml", path=True),),
    buckets=(),
    open=open_session,
    probe=probe,
    fault=fault,
    discover=discover,
    draft=drafted,
    resources=(
        Resource(
            "table",
            read,
            key=KEY,
            cursor="each file's name, size, times and content digest",
            deletes="sweep",
            history="none: a row is what the newest file says",
            completeness="each file is read to its end and is unchanged then; what is not waits, and the run is partial",
            template=Table,
            traps=(
                "rows vanish only from snapshots (`whole: true`); a file that is taken away says nothing about its rows",
                "short and long rows and open quotes are rejects, unreadable values empty; both are told with file and line",
                "1,234 is a number only when `decimal` says which; percent cells of Excel hold 0.45, not 45",
                "formulas come as last computed by Excel; workbooks written by programs may hold none",
                "a workbook's sheet is held in memory and may have 5 million cells; CSV, JSON and Parquet of any size are streamed",
                "a few accents do not tell Windows-1252 from 1250: set `encoding`",
            ),
        ),
    ),
    cannot=("be written to", "read buckets or web addresses: put the files into a folder first"),
)
