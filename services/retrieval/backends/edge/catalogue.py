"""The catalogue of an embedded store: its collections, and the lock that makes this process its owner."""

from __future__ import annotations

import shutil
import sqlite3
import uuid
from dataclasses import dataclass
from pathlib import Path

from services.core.errors import ServiceUnavailable
from services.retrieval.backends.edge.files import transaction
from services.retrieval.collections import Names, Schema

FORMAT = 1
LOCK_SECONDS = 1.0
"""How long a start waits for a predecessor that is just stopping."""


@dataclass(frozen=True)
class Entry:
    """A collection of the catalogue."""

    name: str
    schema: Schema
    folder: Path


class Catalogue:
    """The collections and aliases of a directory, which belongs to this process.

    A collection exists from the commit of its row to the commit of its row's removal. Folders without a row
    are what a crash left of a creation or a removal; opening deletes them.
    """

    def __init__(self, directory: Path) -> None:
        """Own a directory, and read what it has.

        Raises:
            ServiceUnavailable: Another process owns it, or it cannot be written.
        """
        self.directory = directory
        self._folders = directory / "collections"
        try:
            self._folders.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                directory / "catalogue.db",
                timeout=LOCK_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
        except (OSError, sqlite3.OperationalError) as error:
            raise ServiceUnavailable(
                f"the vector store's directory {directory} cannot be used: {error}"
            ) from None
        try:
            self._own()
            self.entries = self._read_entries()
            self.aliases: dict[str, str] = dict(self._db.execute("select alias, collection from aliases"))
        except BaseException:
            self._db.close()
            raise
        self.names = Names(self.entries, self.aliases)
        self._sweep()

    def _own(self) -> None:
        """Lock the file for this process, and make its tables where it is new."""
        try:
            self._db.execute("pragma locking_mode=exclusive")
            self._db.execute("begin exclusive")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode not in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                raise ServiceUnavailable(
                    f"the vector store's directory {self.directory} cannot be written: {error}"
                ) from None
            raise ServiceUnavailable(
                f"the vector store in {self.directory} is in use by another process: stop that retrieval "
                "service, or set VECTOR_URL to another directory, edge:///path/to/dir"
            ) from None
        (found,) = self._db.execute("pragma user_version").fetchone()
        if found not in {0, FORMAT}:
            raise ServiceUnavailable(
                f"the vector store in {self.directory} has format {found}, this version reads {FORMAT}: "
                "set VECTOR_URL to another directory and ingest again"
            )
        self._db.execute(
            "create table if not exists collections"
            "(name text primary key, model text not null, dim integer not null, folder text not null)"
        )
        self._db.execute(
            "create table if not exists aliases(alias text primary key, collection text not null)"
        )
        self._db.execute(f"pragma user_version={FORMAT}")
        self._db.execute("commit")

    def _read_entries(self) -> dict[str, Entry]:
        rows = self._db.execute("select name, model, dim, folder from collections").fetchall()
        return {
            name: Entry(name, Schema(model, dim), self._folders / folder) for name, model, dim, folder in rows
        }

    def _sweep(self) -> None:
        """Delete the folders that no collection has."""
        listed = {entry.folder for entry in self.entries.values()}
        for folder in self._folders.iterdir():
            if folder not in listed:
                shutil.rmtree(folder, ignore_errors=True)

    def reserve(self, name: str, schema: Schema) -> Entry:
        """Make an entry with a folder of its own, not yet part of the catalogue; `add` makes it so."""
        return Entry(name, schema, self._folders / f"{name}.{uuid.uuid4().hex[:8]}")

    def add(self, entry: Entry) -> None:
        """Let a collection exist."""
        self._db.execute(
            "insert into collections values (?, ?, ?, ?)",
            (entry.name, entry.schema.model, entry.schema.dim, entry.folder.name),
        )
        self.entries[entry.name] = entry

    def remove(self, entry: Entry) -> None:
        """Forget the collection, then delete its folder."""
        self._db.execute("delete from collections where name = ?", (entry.name,))
        self.entries.pop(entry.name, None)
        self.delete_files(entry)

    @staticmethod
    def delete_files(entry: Entry) -> None:
        """Delete the folder of a collection that is forgotten already."""
        shutil.rmtree(entry.folder, ignore_errors=True)

    def set_alias(self, alias: str, collection: str, *, replace: bool) -> Entry | None:
        """Let `alias` mean a collection, in one step. Raises what `Names.check_alias` raises.

        Returns:
            The entry of a collection that this replaced, whose files are still there.
        """
        name = self.names.check_alias(alias, collection, replace=replace)
        with transaction(self._db):
            self._db.execute("delete from collections where name = ?", (alias,))
            self._db.execute("insert or replace into aliases values (?, ?)", (alias, name))
        self.aliases[alias] = name
        return self.entries.pop(alias, None)

    def delete_alias(self, alias: str) -> None:
        """Forget an alias. Raises `NotFound` for an unknown one."""
        self.names.check_alias_known(alias)
        self._db.execute("delete from aliases where alias = ?", (alias,))
        del self.aliases[alias]

    def close(self) -> None:
        self._db.close()
