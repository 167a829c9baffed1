"""The catalogue of an embedded store: its collections, and the lock that makes this process its owner."""

from __future__ import annotations

import shutil
import sqlite3
import uuid
from dataclasses import dataclass
from pathlib import Path

from services.core.errors import ServiceUnavailable
from services.retrieval.backends.edge.tokens import transaction
from services.retrieval.schema import Schema, aliased, is_alias, taken, unknown, unknown_alias

FORMAT = 1
LOCK_SECONDS = 1.0
"""How long a start waits for a predecessor that is just stopping."""


@dataclass(frozen=True)
class Entry:
    name: str
    schema: Schema
    folder: Path


class Catalogue:
    """A collection exists from the commit of its row to the commit of its row's removal.

    Folders without a row are what a crash left of a creation or a removal; opening deletes them.
    """

    def __init__(self, directory: Path) -> None:
        """Raises `ServiceUnavailable` where another process owns `directory` or it cannot be written."""
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
            self.entries = self._own()
        except BaseException:
            self._db.close()
            raise
        self._sweep()

    def _own(self) -> dict[str, Entry]:
        try:
            self._db.execute("pragma locking_mode=exclusive")
            self._db.execute("begin exclusive")
        except sqlite3.OperationalError:
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
        self.aliases: dict[str, str] = dict(
            self._db.execute("select alias, collection from aliases").fetchall()
        )
        rows = self._db.execute("select name, model, dim, folder from collections").fetchall()
        return {
            name: Entry(name, Schema(model, dim), self._folders / folder) for name, model, dim, folder in rows
        }

    def _sweep(self) -> None:
        listed = {entry.folder for entry in self.entries.values()}
        for folder in self._folders.iterdir():
            if folder not in listed:
                shutil.rmtree(folder, ignore_errors=True)

    def reserve(self, name: str, schema: Schema) -> Entry:
        """An entry with a folder of its own, not yet part of the catalogue; `add` makes it so."""
        return Entry(name, schema, self._folders / f"{name}.{uuid.uuid4().hex[:8]}")

    def add(self, entry: Entry) -> None:
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
        shutil.rmtree(entry.folder, ignore_errors=True)

    def resolve(self, name: str) -> str:
        """The collection's own name, for its name or an alias of it."""
        return self.aliases.get(name, name)

    def aliases_of(self, name: str) -> list[str]:
        return sorted(alias for alias, meant in self.aliases.items() if meant == name)

    def require_own_name(self, name: str) -> Entry:
        """The entry of a collection that may be deleted: named by its own name, meant by no alias."""
        if name in self.aliases:
            raise is_alias(name, self.aliases[name])
        entry = self.entries.get(name)
        if entry is None:
            raise unknown(name)
        if aliases := self.aliases_of(name):
            raise aliased(name, aliases)
        return entry

    def set_alias(self, alias: str, collection: str, *, replace: bool) -> Entry | None:
        """Let `alias` mean a collection, in one step; the entry of a collection that this replaced."""
        name = self.resolve(collection)
        if name not in self.entries:
            raise unknown(collection)
        replaced = None
        if alias in self.entries:
            if not replace or alias == name:
                raise taken(alias)
            replaced = self.require_own_name(alias)
        with transaction(self._db):
            self._db.execute("delete from collections where name = ?", (alias,))
            self._db.execute("insert or replace into aliases values (?, ?)", (alias, name))
        self.entries.pop(alias, None)
        self.aliases[alias] = name
        return replaced

    def delete_alias(self, alias: str) -> None:
        if alias not in self.aliases:
            raise unknown_alias(alias)
        self._db.execute("delete from aliases where alias = ?", (alias,))
        del self.aliases[alias]

    def close(self) -> None:
        self._db.close()
