"""Make, list and revoke the gateway's API keys.

They are in a file, RAGLINE_HOME/keys.json or what GATEWAY_KEYS_FILE names. The gateway that was started with
GATEWAY_KEYS_FILE reads it anew whenever it changes. A key is shown once: the file has its hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from services.cli.console import Output
from services.cli.errors import UsageError
from services.cli.settings import Settings
from services.core.errors import NotFound
from services.gateway.access.caller import DEFAULT_TENANT, Limits
from services.gateway.access.keys import Key, KeyList, hash_key, make_key, read_keys, write_keys

PANEL = "Look after"

command = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

File = Annotated[
    Path | None,
    typer.Option("--file", help="The file; left out: GATEWAY_KEYS_FILE, or RAGLINE_HOME/keys.json."),
]


@command.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Who or what will use it.")],
    *,
    role: Annotated[
        list[str] | None, typer.Option(help="ask, ingest or admin; repeatable; left out: ask.")
    ] = None,
    tenant: Annotated[str, typer.Option(help="Whose collections it sees.")] = DEFAULT_TENANT,
    collection: Annotated[
        list[str] | None, typer.Option(help="Only this collection of the tenant's; repeatable.")
    ] = None,
    days: Annotated[float | None, typer.Option(help="Days until it expires; left out: never.", min=0)] = None,
    requests_per_minute: Annotated[int | None, typer.Option(min=1)] = None,
    tokens_per_minute: Annotated[int | None, typer.Option(min=1)] = None,
    tokens_per_day: Annotated[int | None, typer.Option(min=1)] = None,
    concurrent: Annotated[int | None, typer.Option(min=1, help="Requests at once, streams included.")] = None,
    ingest_bytes_per_day: Annotated[int | None, typer.Option(min=1)] = None,
    file: File = None,
) -> None:
    """Make a key, and print it: it is shown this once."""
    limits = Limits(
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        tokens_per_day=tokens_per_day,
        concurrent=concurrent,
        ingest_bytes_per_day=ingest_bytes_per_day,
    )
    path, secret, now = find_file(file), make_key(), datetime.now(UTC).replace(microsecond=0)
    wanted = {
        "hash": hash_key(secret),
        "name": name,
        "tenant": tenant,
        "roles": role or ["ask"],
        "collections": collection or None,
        "limits": limits,
        "created": now,
        "expires": None if days is None else now + timedelta(days=days),
    }
    add_key(path, wanted)
    output = Output.standard()
    output.line(secret)
    output.problem(
        f"it is shown this once; its hash is in {path}, which GATEWAY_KEYS_FILE names for the gateway"
    )


@command.command("limit")
def limit(
    tenant: Annotated[str, typer.Argument(help="The tenant whose keys share these limits.")],
    *,
    requests_per_minute: Annotated[int | None, typer.Option(min=1)] = None,
    tokens_per_minute: Annotated[int | None, typer.Option(min=1)] = None,
    tokens_per_day: Annotated[int | None, typer.Option(min=1)] = None,
    concurrent: Annotated[int | None, typer.Option(min=1, help="Requests at once, streams included.")] = None,
    ingest_bytes_per_day: Annotated[int | None, typer.Option(min=1)] = None,
    file: File = None,
) -> None:
    """Set the limits that all keys of a tenant share; those that are left out are none."""
    limits = Limits(
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        tokens_per_day=tokens_per_day,
        concurrent=concurrent,
        ingest_bytes_per_day=ingest_bytes_per_day,
    )
    path = find_file(file)
    before = read_file(path)
    tenants = {**before.tenants, tenant: limits}
    write_keys(path, KeyList.model_validate(before.model_dump() | {"tenants": tenants}))
    given = ", ".join(f"{name} {value}" for name, value in limits.model_dump(exclude_none=True).items())
    Output.standard().line(f"{tenant}: {given or 'no limits'}")


@command.command("list")
def list_(file: File = None) -> None:
    """List the keys, without what they are."""
    rows = [("id", "name", "tenant", "roles", "collections", "state", "limits")]
    now = datetime.now(UTC)
    for key in read_file(find_file(file)).keys:
        limits = ", ".join(
            f"{name} {value}" for name, value in key.limits.model_dump(exclude_none=True).items()
        )
        state = "revoked" if key.revoked else "expired" if key.refusal(now) else "valid"
        if key.expires and state == "valid":
            state = f"until {key.expires:%Y-%m-%d %H:%M}"
        collections = ", ".join(key.collections or ["all"])
        rows.append((key.id, key.name, key.tenant, ", ".join(key.roles), collections, state, limits))
    Output.standard().table(rows)


@command.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, or the start of it.")],
    file: File = None,
) -> None:
    """Make a key invalid, now and for good."""
    revoked = revoke_key(find_file(file), key_id)
    Output.standard().line(f"revoked {revoked.id} ({revoked.name})")


def find_file(given: Path | None) -> Path:
    """Return the file of keys that is meant."""
    settings = Settings.load()
    return given or settings.keys_file or settings.root / "keys.json"


def read_file(path: Path) -> KeyList:
    """Read a file of keys. Raises `UsageError` that says what is wrong with it."""
    try:
        return read_keys(path)
    except ValueError as error:
        raise UsageError(str(error)) from None


def add_key(path: Path, wanted: Mapping[str, object]) -> Key:
    """Add a key to a file, which is made where there is none.

    Args:
        path: The file.
        wanted: The fields of the key.

    Raises:
        UsageError: A field is not valid, or the file is none of keys.
    """
    try:
        key = Key.model_validate(wanted)
    except ValidationError as error:
        issue = error.errors()[0]
        raise UsageError(f"{'.'.join(map(str, issue['loc']))}: {issue['msg']}") from None
    before = read_file(path) if path.exists() else KeyList()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_keys(path, before.model_copy(update={"keys": [*before.keys, key]}))
    return key


def revoke_key(path: Path, key_id: str) -> Key:
    """Revoke a key of a file. Raises `NotFound` where no key, or more than one, has an id that begins so."""
    before = read_file(path)
    keys = before.keys
    meant = [key for key in keys if key_id and key.id.startswith(key_id)]
    if len(meant) != 1:
        raise NotFound(f"{len(meant)} keys of {path} have an id that begins with {key_id!r}")
    revoked = meant[0].model_copy(
        update={"revoked": meant[0].revoked or datetime.now(UTC).replace(microsecond=0)}
    )
    changed = [revoked if key is meant[0] else key for key in keys]
    write_keys(path, before.model_copy(update={"keys": changed}))
    return revoked
