"""The folder: which files a read means, whether one is what it was when it was read, and what lies inside it.

A file's identity is its name, size, times and content. Nothing outside the folder is ever opened.
"""

from __future__ import annotations

import gzip
import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal

import xxhash

from connectors.files_sheet import Unreadable

Kind = Literal["csv", "jsonl", "json", "xlsx", "xls", "parquet"]
_BLOCK = 4 * 1024 * 1024
_JSON_NAMES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json"}
_TABLE_NAMES = {".csv", ".tsv", ".tab", ".txt", *_JSON_NAMES}
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@dataclass(frozen=True)
class Seen:
    """A file as the folder shows it. `name` is its path below the folder, with slashes."""

    name: str
    path: Path
    size: int
    modified_ns: int
    changed_ns: int  # of the entry itself: also moves when size and modification time were put back

    def as_it_was(self, then: Sequence[object]) -> bool:
        """Do size and times say that nothing was written since?"""
        return [self.size, self.modified_ns, self.changed_ns] == list(then[:3])

    def now(self) -> Seen:
        """The same file as it is now. Raises: OSError."""
        return _seen(self.name, self.path)


@dataclass(frozen=True)
class Part:
    """A table inside a file: the file itself, or a member of an archive. `plain` ones are neither packed nor in an archive."""

    name: str
    kind: Kind
    path: Path
    plain: bool = True
    member: str | None = None

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Its bytes, unpacked as they are read. Raises: Unreadable, OSError."""
        try:
            if self.member is not None:
                with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as stream:
                    yield stream  # type: ignore[misc]
            elif not self.plain:
                with gzip.open(self.path) as stream:
                    yield stream  # type: ignore[misc]
            else:
                with self.path.open("rb") as stream:
                    yield stream
        except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as problem:
            locked = isinstance(problem, RuntimeError) and "password" in str(problem)
            raise Unreadable("the archive is protected by a password" if locked else "the archive is damaged or not complete") from problem

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name.lower().removesuffix(".gz")).suffix


def look(folder: Path, patterns: Sequence[str]) -> tuple[list[Seen], list[tuple[str, str]]]:
    """The files that fit, by name; and (name, why) of those that fit and are no files of this folder."""
    wanted = re.compile("|".join(map(_expression, patterns)), re.IGNORECASE)
    root = folder.resolve()
    found: list[Seen] = []
    refused: list[tuple[str, str]] = []
    for name in _entries(folder):
        last = name.rpartition("/")[2]
        if not wanted.fullmatch(name) or last.startswith((".", "~$")):  # editors' and Excel's own
            continue
        path = folder / name
        try:
            path = path.resolve()
            if not path.is_relative_to(root):
                refused.append((name, "leads out of the folder"))
            elif not path.is_file():
                refused.append((name, "is a folder" if path.is_dir() else "is no plain file"))
            else:
                found.append(_seen(name, path))
        except OSError as problem:
            refused.append((name, _why(problem)))
    return sorted(found, key=lambda f: f.name), refused


def _entries(folder: Path) -> Iterator[str]:
    """Every name below the folder. Folders that are links are named, not entered."""
    for place, folders, names in os.walk(folder):
        below = Path(place).relative_to(folder)
        for name in [*folders, *names]:
            yield (below / name).as_posix()


def _expression(pattern: str) -> str:
    """The pattern as a regular expression: * and ? stay within a folder, **/ is any folders or none."""
    parts = re.split(r"(\*\*/|\*|\?)", pattern.removeprefix("./"))
    words = {"**/": "(?:[^/]+/)*", "*": "[^/]*", "?": "[^/]"}
    return "(?:" + "".join(words.get(part, re.escape(part)) for part in parts) + ")"


def _seen(name: str, path: Path) -> Seen:
    stat = path.stat()
    return Seen(name, path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def _why(problem: OSError) -> str:
    return "may not be read" if isinstance(problem, PermissionError) else (problem.strerror or "cannot be read").lower()


def digest(path: Path, size: int) -> str:
    """Digest of the file's first `size` bytes; "" when it is shorter. Raises: OSError."""
    known = xxhash.xxh3_128()
    with path.open("rb") as stream:
        while size > 0 and (block := stream.read(min(_BLOCK, size))):
            known.update(block)
            size -= len(block)
    return "" if size else known.hexdigest()


def parts(file: Seen, given: Kind | None) -> list[Part]:
    """The tables in a file. What it begins with counts more than its name. Raises: Unreadable, OSError."""
    with file.path.open("rb") as stream:
        head = stream.read(512)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _in_archive(file, given)
    if head.startswith(b"\x1f\x8b"):
        part = Part(file.name, "csv", file.path, plain=False)
        with part.open() as stream:
            return [Part(file.name, given or _text_kind(part.suffix, stream.read(512)), file.path, plain=False)]
    if head.startswith(b"PAR1"):
        return [Part(file.name, "parquet", file.path)]
    if head.startswith(_OLD_OFFICE):
        return [Part(file.name, "xls", file.path)]
    suffix = PurePosixPath(file.name.lower()).suffix
    if given in ("xlsx", "parquet") or (suffix in (".xlsx", ".xlsm", ".parquet", ".zip", ".gz") and b"\0" in head):
        raise Unreadable(f"no {given or suffix.lstrip('.')} file, whatever its name says; it may be damaged or not complete")
    return [Part(file.name, given or _text_kind(suffix, head), file.path)]


def _in_archive(file: Seen, given: Kind | None) -> list[Part]:
    try:
        with zipfile.ZipFile(file.path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
            if "xl/workbook.xml" in names:
                return [Part(file.name, "xlsx", file.path)]
            if "xl/workbook.bin" in names or "content.xml" in names:
                raise Unreadable("a workbook of a kind that is not read; save it as .xlsx or CSV")
            found = []
            for name in sorted(names):
                inner = PurePosixPath(name.lower())
                if inner.suffix in _TABLE_NAMES and not name.startswith("__MACOSX/") and not inner.name.startswith("."):
                    with archive.open(name) as stream:
                        kind = given or _text_kind(inner.suffix, stream.read(512))
                    found.append(Part(f"{file.name}/{name}", kind, file.path, plain=False, member=name))
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as problem:
        locked = "password" in str(problem)
        raise Unreadable("the archive is protected by a password" if locked else "the archive is damaged or not complete") from problem
    if not found:
        raise Unreadable("the archive holds no CSV or JSON file")
    return found


def _text_kind(suffix: str, head: bytes) -> Kind:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n\0")
    if start[:9].lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<table")):
        raise Unreadable("a web page, no table: the export was not downloaded, or saved as HTML; save it as CSV")
    if suffix in _JSON_NAMES:
        return "jsonl" if start.startswith(b"{") or suffix != ".json" else "json"
    return "jsonl" if start.startswith((b'{"', b"{'")) else "json" if start.startswith((b"[{", b"[\n")) else "csv"
