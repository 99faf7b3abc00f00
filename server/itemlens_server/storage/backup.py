"""Backups: a copy of a store's files at one moment, taken while a server may be running, and its restoration.

A backup is a folder with the files and a manifest of their hashes. The manifest is written last, so a backup that was
interrupted has none. Derived files are left out, and so are the marks of the files of counts: a restored store counts
its events again, whatever files are beside it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from itemlens_server.durable import new_file, sync
from itemlens_server.errors import DataLoss, FailedPrecondition, ItemlensError, StorageFull
from itemlens_server.storage import answers, lock, schema, store
from itemlens_server.storage.connection import connect_read_only
from itemlens_server.storage.reader import Reader
from itemlens_server.storage.writer import translate

MANIFEST = "backup.json"
FILES = (store.FILE, answers.FILE)
"""The store is copied first, so that the answers of its events are in the later copy."""
_PAGES = 2048
_BLOCK = 1 << 20
_PART = ".part"
EPOCH = 1 << 32
"""Sequence numbers of an epoch. A restoration begins a new one, that of its second since 2026: numbers of writes that
the backup does not have are not given again, so that those who read them find out."""
_YEAR_2026 = 1_767_225_600

OnProgress = Callable[[str, int, int], None]
"""Called with what is done, such as "itemlens.db", and with how much of how much: pages or bytes."""


@dataclass(frozen=True)
class File:
    """A file of a backup. sha256: hexadecimal digits."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class CollectionInBackup:
    """A collection at the moment of the backup."""

    name: str
    space_id: str
    items: int
    events: int
    sequence: int


@dataclass(frozen=True)
class Backup:
    """The manifest of a backup. damage: what was damaged in the store when it was copied."""

    time: str
    format: int
    files: Mapping[str, File]
    collections: tuple[CollectionInBackup, ...]
    damage: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in self.files.values())

    def dump(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=2) + "\n"

    @staticmethod
    def read(folder: Path) -> Backup:
        """Return the manifest of a backup.

        Raises:
            FailedPrecondition: there is no whole backup, or it is of a later version.
            DataLoss: the manifest is damaged.
        """
        path = folder / MANIFEST
        try:
            value = json.loads(path.read_bytes())
        except FileNotFoundError as error:
            raise FailedPrecondition(
                f"{folder} is not a whole backup: it has no {MANIFEST}, which is written at the end; give another "
                "folder, or take the backup again if it was interrupted"
            ) from error
        except OSError as error:
            raise FailedPrecondition(f"{path} cannot be read: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise _damaged(path) from error
        with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
            if value["format"] > schema.FORMAT:
                raise FailedPrecondition(
                    f"the backup in {folder} has format {value['format']}, this version reads up to {schema.FORMAT}: "
                    "restore it with the version that made it, or a later one"
                )
            return Backup(
                str(value["time"]),
                int(value["format"]),
                {str(name): File(**file) for name, file in value["files"].items()},
                tuple(CollectionInBackup(**one) for one in value["collections"]),
                tuple(map(str, value["damage"])),
            )
        raise _damaged(path)


def make(data: Path, folder: Path, tell: OnProgress = lambda *_: None) -> Backup:
    """Copy the store in `data` to `folder`, which must be new or empty, and check the copy. Writes go on meanwhile.

    It holds every write that was acknowledged before the call, and no transaction in part.

    Raises:
        FailedPrecondition: there is no store, or `folder` cannot be used.
        StorageFull: there is no room for the copy.
        DataLoss: the store cannot be read.
    """
    store.Store.read_only(data)  # a wrong folder is told before anything is created
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise FailedPrecondition(f"{folder} is not empty; give the backup a new folder")
        try:
            damage = list[str]()
            for name in FILES:
                if (data / name).is_file():
                    try:
                        _copy_database(data / name, folder / name, partial(tell, name))
                    except (DataLoss, FailedPrecondition) as error:
                        if name == store.FILE:
                            raise
                        # Without the answers, which reports alone need, the store is a backup still.
                        (folder / name).unlink(missing_ok=True)
                        damage.append(f"{name} is left out: {error.message}")
            backup = _described(folder, damage)
            with new_file(folder / MANIFEST) as manifest:
                manifest.write(backup.dump().encode("utf-8", "backslashreplace"))
        except BaseException:
            for name in FILES:
                (folder / name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise FailedPrecondition(f"{folder} cannot be written to: {error.strerror}") from error
    return backup


def restore(folder: Path, data: Path, tell: OnProgress = lambda *_: None) -> Backup:
    """Copy a backup into `data`, which must be new or empty. It is there as a whole, or not at all.

    Raises:
        FailedPrecondition: `folder` is not a whole backup, or `data` is in use or not empty.
        DataLoss: the backup is damaged.
        StorageFull: there is no room.
    """
    backup = Backup.read(folder)
    names = [name for name in FILES if name in backup.files]
    if store.FILE not in names:
        raise _damaged(folder / MANIFEST)
    parts = {name: data / f"{name}{_PART}" for name in names}
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        there = {path.name for path in data.iterdir()}
        # What an interrupted restoration leaves is no store: parts, and beside that of the store the answers.
        own = {lock.FILE, *(f"{name}{_PART}" for name in FILES)}
        if f"{store.FILE}{_PART}" in there:
            own.add(answers.FILE)
        if others := sorted(there - own):
            if lock.FILE in there:
                lock.hold(data).close()
            raise FailedPrecondition(
                f"{data} is not empty: it has {others[0]}; give --data a new folder, or move this one away first"
            )
        with lock.hold(data):
            try:
                for name, part in parts.items():
                    _copy_file(folder / name, part, backup.files[name], partial(tell, name))
                _begin_epoch(parts[store.FILE])
                (data / answers.FILE).unlink(missing_ok=True)
                for name in reversed(names):  # the store last: with it the restoration is complete
                    parts[name].replace(data / name)
                sync(data)
            finally:
                for part in parts.values():
                    part.unlink(missing_ok=True)
                if not (data / store.FILE).exists():
                    (data / answers.FILE).unlink(missing_ok=True)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise (StorageFull if full else FailedPrecondition)(
            f"the backup cannot be copied to {data} ({error.strerror}): nothing was restored"
        ) from error
    return backup


def _begin_epoch(part: Path) -> None:
    """Let the collections of a store that is being restored count on in a new epoch.

    Raises:
        StorageFull: there is no room.
        DataLoss: the file is damaged.
    """
    now = int(time.time()) - _YEAR_2026
    try:
        with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as connection:
            # A part that is torn is copied again. A journal on disk would be taken for that of the next copy.
            connection.execute("PRAGMA journal_mode=MEMORY")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(
                "UPDATE collections SET sequence = max(sequence / ? + 1, ?) * ?", (EPOCH, now, EPOCH)
            )
    except sqlite3.Error as error:
        translated = translate(error)
        if isinstance(translated, StorageFull):
            raise translated from error
        raise _damaged(part) from error


def _copy_database(source: Path, target: Path, tell: Callable[[int, int], None]) -> None:
    """Copy an SQLite file as it is at the first read, in one file without a journal."""
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with (
            contextlib.closing(connect_read_only(source)) as reading,
            contextlib.closing(sqlite3.connect(target, isolation_level=None)) as writing,
        ):
            # A transaction holds the moment: without it, a write between two steps makes SQLite begin again.
            reading.execute("BEGIN")
            reading.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            reading.backup(writing, pages=_PAGES, progress=lambda _, left, of: tell(of - left, of))
            writing.execute("PRAGMA journal_mode=DELETE")
            if source.name == store.FILE:
                writing.execute("DELETE FROM count_marks")
    except sqlite3.Error as error:
        translated = translate(error)
        if isinstance(translated, StorageFull):
            raise StorageFull(f"there is no room to copy {source} to {target} ({error})") from error
        raise FailedPrecondition(f"{source} cannot be copied to {target}: {error}") from error
    sync(target)


def _copy_file(source: Path, target: Path, about: File, tell: Callable[[int, int], None]) -> None:
    """Copy a file of a backup, and check its hash.

    Raises:
        DataLoss: it is damaged.
    """
    digest, done = hashlib.sha256(), 0
    try:
        reading = source.open("rb")
    except OSError as error:
        raise DataLoss(
            f"{source} of the backup cannot be read ({error.strerror}): use another backup"
        ) from error
    with reading, open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as writing:
        while block := reading.read(_BLOCK):
            digest.update(block)
            writing.write(block)
            done += len(block)
            tell(done, about.bytes)
        writing.flush()
        os.fsync(writing.fileno())
    if digest.hexdigest() != about.sha256:
        raise _damaged(source)


def _described(folder: Path, damage: list[str]) -> Backup:
    """Return the manifest of a copy. Everything is read, so that damage is told now and not when it is needed.
    damage: what is known of it."""
    files: dict[str, File] = {}
    for name in FILES:
        if (folder / name).is_file():
            with (folder / name).open("rb") as file:
                files[name] = File(
                    os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest()
                )
    with contextlib.closing(connect_read_only(folder / store.FILE)) as connection:
        reader = Reader(connection)
        collections: list[CollectionInBackup] = []
        try:
            damage += reader.problems()
            for record in reader.collections():
                items, events, sequence = reader.counts(record.id)
                collections.append(CollectionInBackup(record.name, record.space_id, items, events, sequence))
        except ItemlensError as error:
            damage.append(error.message)
    if wrong := answers.problem(folder):
        damage.append(f"{answers.FILE}: {wrong}")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Backup(now, schema.FORMAT, files, tuple(collections), tuple(damage))


def _damaged(path: Path) -> DataLoss:
    return DataLoss(f"{path} of the backup is damaged: nothing was restored; use another backup")
