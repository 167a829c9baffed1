"""What a citation's signed link opens, and for how long, where the gateway asks for keys."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from services.core.errors import Unauthorized
from services.gateway.access.caller import Caller, set_caller
from services.gateway.access.keys import KeyFile, KeyList, read_keys, write_keys
from services.gateway.access.links import LinkSigner
from services.gateway.app import create as create_gateway
from services.gateway.settings import Settings
from tests.contract.conftest import Serve
from tests.contract.tenants_chain import Tenant, start_services, write_key_file

FACT = "The vault of acme opens with the word xylophone."
QUESTION = "What opens the vault of acme?"
SECRET = "shared by all gateways"  # noqa: S105 - of a test
BROWSER = {"accept": "text/html,application/xhtml+xml"}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "keys.json"


@pytest.fixture(scope="module")
def keys(path: Path) -> dict[str, str]:
    return write_key_file(
        path,
        acme={"tenant": "acme", "roles": ["ask", "ingest"]},
        other={"tenant": "acme", "roles": ["ask"]},
        zeta={"tenant": "zeta", "roles": ["admin"]},
    )


@pytest.fixture(scope="module")
def urls(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return start_services(serve, tmp_path_factory.mktemp("dataprep"))


@pytest.fixture(scope="module")
def acme(serve: Serve, urls: dict[str, str], path: Path, keys: dict[str, str]) -> Tenant:
    settings: dict[str, Any] = {"keys_file": path, "floor": 0, "link_secret": SECRET, **urls}
    acme = Tenant(serve(create_gateway(Settings(**settings))), keys["acme"])
    assert acme.upload("facts.md", FACT).status_code == 200
    assert acme.upload("notes.md", FACT, collection="notes").status_code == 200
    zeta = Tenant(acme.url, keys["zeta"])
    assert zeta.upload("facts.md", "The garden of zeta has nine pear trees.").status_code == 200
    return acme


def cite(tenant: Tenant, key: str = "", **rag: str) -> str:
    """Ask, and return the address of the answer's citation."""
    body = {"messages": [{"role": "user", "content": QUESTION}], "rag": rag}
    asking = Tenant(tenant.url, key) if key else tenant
    message = asking.ask("POST", "/v1/chat/completions", json=body).json()["choices"][0]["message"]
    address: str = message["annotations"][0]["url_citation"]["url"]
    return address


def alter(address: str, **query: str) -> str:
    parts = urlsplit(address)
    now = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    return parts._replace(query=urlencode({**now, **query})).geturl()


def alter_link(address: str, **parts: str) -> str:
    """Return the address with other parts of its link: signer, tenant, expires, signature."""
    link = parse_qs(urlsplit(address).query)["link"][0]
    named = dict(zip(("signer", "tenant", "expires", "signature"), link.split("."), strict=True))
    return alter(address, link=".".join({**named, **parts}.values()))


def refusal(address: str) -> str:
    reply = httpx.get(address)
    assert reply.status_code == 401, reply.text
    assert "xylophone" not in reply.text
    assert "www-authenticate" in reply.headers
    message: str = reply.json()["error"]["message"]
    return message


def test_a_plain_click_opens_the_passage(acme: Tenant, keys: dict[str, str]) -> None:
    address = cite(acme)
    assert keys["acme"] not in address
    page = httpx.get(address, headers=BROWSER)
    assert page.status_code == 200
    assert "xylophone" in page.text
    assert "<mark>" in page.text
    assert (page.headers["cache-control"], page.headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert httpx.get(address).json()["text"] == FACT
    # what a chat client adds to the addresses that it shows is not signed, and hurts nothing
    assert httpx.get(f"{address}&utm_source=chat").status_code == 200


def test_a_streamed_answer_s_link_opens_too(acme: Tenant) -> None:
    body = {"messages": [{"role": "user", "content": QUESTION}], "stream": True}
    text = acme.ask("POST", "/v1/chat/completions", json=body).text
    [address] = re.findall(r'"url":"([^"]+link=[^"]+)"', text)
    assert httpx.get(address).status_code == 200


def test_a_link_of_responses_opens_too(acme: Tenant) -> None:
    text = acme.ask("POST", "/v1/responses", json={"input": QUESTION}).text
    [address] = re.findall(r'"url":"([^"]+link=[^"]+)"', text)
    assert httpx.get(address).status_code == 200


def test_a_link_is_for_its_passage_in_its_collection_alone(acme: Tenant) -> None:
    address, notes = cite(acme), cite(acme, collection="notes")
    wanted, other = urlsplit(address).path, urlsplit(notes).path
    refusal(address.replace(wanted, other))
    refusal(notes.replace(other, wanted))
    refusal(alter(address, collection="notes"))
    refusal(alter(address, collection="zeta--default"))
    refusal(alter(address, start="3"))
    refusal(f"{address}&collection=notes")
    for path in ("/v1/documents", "/v1/models", "/v1/jobs", f"{wanted}/around"):
        refusal(address.replace(wanted, path))
    assert httpx.post(address).status_code == 401
    assert httpx.delete(address).status_code == 401


def test_an_altered_link_opens_nothing(acme: Tenant) -> None:
    address = cite(acme)
    for parts in (
        {"tenant": "zeta"},
        {"tenant": "default"},
        {"tenant": ""},
        {"signer": "000000000000"},
        {"signer": "oidc"},
        {"signer": ""},
        {"expires": "99999999999"},
        {"expires": ""},
        {"expires": "x"},
        {"signature": ""},
        {"signature": "ä" * 43},
        {"signature": "A" * 43},
    ):
        assert "not valid" in refusal(alter_link(address, **parts)), parts
    for link in (".", "...", "x", "." * 50, "\x00", "a.b.c.d.e"):
        refusal(alter(address, link=link))


def test_another_key_s_link_is_not_made_from_one_s_own(
    acme: Tenant, keys: dict[str, str], path: Path
) -> None:
    """Whoever knows a key and the passages' ids still lacks the gateways' secret."""
    zeta = next(key for key in read_keys(path).keys if key.tenant == "zeta")
    address = cite(acme)
    refusal(alter_link(address, signer=zeta.id, tenant="zeta"))
    own = cite(acme, keys["zeta"])
    refusal(alter_link(own, tenant="acme"))
    assert "xylophone" not in httpx.get(own).text


def test_a_link_of_another_tenant_s_passage_opens_only_what_its_signer_could_see(
    acme: Tenant, path: Path
) -> None:
    """Even a rightly signed link: the collection is that of the signer's tenant."""
    zeta = next(key for key in read_keys(path).keys if key.tenant == "zeta")
    address = cite(acme)
    parts = urlsplit(address)
    signer = make_signer(path)
    signed = sign_as(signer, zeta.id, "zeta", parts.path.rpartition("/")[2], address)
    reply = httpx.get(signed)
    assert reply.status_code == 404
    assert "xylophone" not in reply.text


def make_signer(
    path: Path, seconds: float = 60, now: float | None = None, secret: str = SECRET
) -> LinkSigner:
    """Make the signer of another gateway."""
    clock = time.time if now is None else (lambda: now)
    return LinkSigner(KeyFile(path), takes_tokens=False, secret=secret, seconds=seconds, clock=clock)


def sign_as(signer: LinkSigner, identifier: str, tenant: str, passage_id: str, address: str) -> str:
    set_caller(Caller(id=identifier, tenant=tenant))
    query = {name: values[-1] for name, values in parse_qs(urlsplit(address).query).items()}
    return alter(address, **signer.sign(passage_id, query))


def test_a_link_ends(acme: Tenant, path: Path) -> None:
    address = cite(acme)
    key = next(key for key in read_keys(path).keys if key.name == "acme")
    passage_id = urlsplit(address).path.rpartition("/")[2]
    now = datetime.now(UTC).timestamp()
    late, fresh = make_signer(path, 60, now - 61), make_signer(path, 60, now)
    assert httpx.get(sign_as(fresh, key.id, "acme", passage_id, address)).status_code == 200
    assert "expired at" in refusal(sign_as(late, key.id, "acme", passage_id, address))


def test_a_link_ends_with_its_signer_s_rights(acme: Tenant, path: Path, keys: dict[str, str]) -> None:
    address = cite(acme, keys["other"])
    good = read_keys(path)
    key = next(key for key in good.keys if key.name == "other")
    past = datetime.now(UTC) - timedelta(seconds=1)
    changes: list[tuple[dict[str, Any], int]] = [
        ({"revoked": past}, 401),
        ({"expires": past}, 401),
        ({"tenant": "zeta"}, 401),
        ({"collections": ["notes"]}, 401),
        ({"roles": ["ingest"]}, 403),
    ]
    try:
        for change, status in changes:
            changed = [one.model_copy(update=change) if one == key else one for one in good.keys]
            write_keys(path, KeyList(keys=changed))
            reply = httpx.get(address)
            assert (reply.status_code, "xylophone" in reply.text) == (status, False), change
        # a tenant that is gone: none of its keys is there any more
        write_keys(path, KeyList(keys=[one for one in good.keys if one.tenant != "acme"]))
        refusal(address)
    finally:
        write_keys(path, good)
    assert httpx.get(address).status_code == 200


def test_a_key_that_is_sent_counts_and_not_the_link(acme: Tenant, keys: dict[str, str]) -> None:
    address = cite(acme)
    assert Tenant("", keys["zeta"]).ask("GET", address).status_code == 404
    assert Tenant("", "rl_nobody").ask("GET", address).status_code == 401
    assert acme.ask("GET", address.removeprefix(acme.url)).status_code == 200


def test_links_can_be_switched_off(
    serve: Serve, urls: dict[str, str], path: Path, acme: Tenant, keys: dict[str, str]
) -> None:
    settings: dict[str, Any] = {"keys_file": path, "floor": 0, "link_secret": SECRET, **urls}
    plain = Tenant(serve(create_gateway(Settings(**settings, link_seconds=0))), keys["acme"])
    address = cite(plain)
    assert "link=" not in address
    refusal(address)
    refusal(cite(acme).replace(acme.url, plain.url))


def test_another_secret_s_link_opens_nothing(acme: Tenant, path: Path) -> None:
    address = cite(acme)
    key = next(key for key in read_keys(path).keys if key.name == "acme")
    passage_id = urlsplit(address).path.rpartition("/")[2]
    for secret in ("", "another"):
        refusal(sign_as(make_signer(path, secret=secret), key.id, "acme", passage_id, address))


def test_a_token_s_links_are_told_from_a_key_s(path: Path, keys: dict[str, str]) -> None:
    """Without a secret a token's links are the gateway's own; where no tokens are taken there are none."""

    def open_with(signer: LinkSigner, query: dict[str, str]) -> Caller | None:
        return signer.open(
            {"method": "GET", "path": "/v1/passages/p", "query_string": urlencode(query).encode()}
        )

    set_caller(Caller(id="oidc:mia", subject="mia", tenant="acme", roles=frozenset({"ask"})))
    own, other = (LinkSigner(None, takes_tokens=True, secret="", seconds=60) for _ in range(2))
    query = {"collection": "docs", "start": "0", "end": "3"}
    query |= own.sign("p", query)
    assert "mia" not in query["link"]
    caller = open_with(own, query)
    assert caller is not None
    assert (caller.tenant, caller.collections, caller.roles) == ("acme", {"docs"}, {"ask"})
    for stranger in (other, make_signer(path)):
        with pytest.raises(Unauthorized):
            open_with(stranger, query)
    assert make_signer(path).sign("p", {}) == {}


def test_logs_have_no_link(acme: Tenant, capfd: pytest.CaptureFixture[str]) -> None:
    address = cite(acme)
    assert httpx.get(address).status_code == 200
    link = parse_qs(urlsplit(address).query)["link"][0]
    told = "".join(capfd.readouterr())
    assert link.rpartition(".")[2] not in told
