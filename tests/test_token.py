"""Tokens: who knows it is let in, who does not learns only that, and nobody gets to see it."""

from __future__ import annotations

import logging
import pickle
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from sites import Site, over_router, over_tcp
from worlds import World

from daffi import Client, Router, Service
from daffi.exceptions import AuthenticationError, Disconnected, Evicted, InitializationError

SECRET = "hL0-xyzzy-not-to-be-seen-Žž"
SECOND = 1.5  # a second, and some noise of the machine
KNOWS = {"token": SECRET}
everybody_knows = pytest.mark.site(server=KNOWS, worker=KNOWS, caller=KNOWS)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Everything that daffi logs, at every level."""
    with caplog.at_level(logging.DEBUG, "daffi"):
        yield caplog


@everybody_knows
async def test_who_knows_it_calls(world: World, site: Site) -> None:
    assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3
    assert await world.call(site.conn.cast(timeout=5).add, 1, 2) == {site.worker_name: 3}
    names = {member.name for member in await world.call(site.conn.members)}
    assert {"caller", site.worker_name} <= names


@everybody_knows
async def test_who_does_not_know_it_learns_only_that(world: World, site: Site) -> None:
    for wrong in (None, "guessed", SECRET + " ", SECRET[:-1], SECRET.upper()):
        client = world.Client("nosy", **site.address, token=wrong)
        before = time.monotonic()
        with pytest.raises(AuthenticationError) as caught:
            await world.call(client.connect)
        assert time.monotonic() - before < SECOND
        text = str(caught.value)
        assert "token=" in text and "DAFFI_TOKEN" in text
        assert ("asks for a token" in text) == (wrong is None)
        for secret in (SECRET, site.server.app_name, site.worker_name, "add", wrong or SECRET):
            assert secret not in text.split(": ", 1)[1]
        await world.call(client.stop)
    names = {member.name for member in await world.call(site.conn.members)}
    assert "nosy" not in names
    assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3


async def test_a_server_that_asks_for_none_is_not_believed(world: World, site: Site) -> None:
    client = world.Client("careful", **site.address, token=SECRET)
    with pytest.raises(AuthenticationError, match="asks for no token") as caught:
        await world.call(client.connect)
    assert SECRET not in str(caught.value)
    await world.call(client.stop)
    assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3


async def test_the_environment_has_it(
    world: World, monkeypatch: pytest.MonkeyPatch, topology: str
) -> None:
    monkeypatch.setenv("DAFFI_TOKEN", SECRET)
    kind = world.Router if topology == "router" else world.Service
    server = kind("server")
    await world.call(server.start)
    outcomes = {}
    for name, option in (("same", {}), ("given", KNOWS), ("other", {"token": "other"})):
        client = world.Client(name, port=server.port, expose=(), **option)
        try:
            await world.call(client.connect)
            outcomes[name] = "in"
        except AuthenticationError:
            outcomes[name] = "out"
        await world.call(client.stop)
    await world.call(server.stop)
    assert outcomes == {"same": "in", "given": "in", "other": "out"}, "what is given wins"


@pytest.mark.parametrize("kind", [Router, Service, Client])
@pytest.mark.parametrize("wrong", ["", b"bytes-token", 17171717, True, ["t0ken"], "a\ud800b"])
def test_what_is_no_token(kind: Any, wrong: Any) -> None:
    with pytest.raises(InitializationError, match="token") as caught:
        kind("n", "127.0.0.1", 1, token=wrong)
    assert not wrong or str(wrong) not in str(caught.value)


@pytest.mark.parametrize("kind", [Router, Service, Client])
def test_an_empty_environment_is_an_error(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what a script leaves there that did not find its secret."""
    monkeypatch.setenv("DAFFI_TOKEN", "")
    with pytest.raises(InitializationError, match="DAFFI_TOKEN is empty"):
        kind("n", "127.0.0.1", 1)
    kind("n", "127.0.0.1", 1, token=SECRET)


# Nobody gets to see it


def shown(node: Any) -> str:
    """Everything that a node says of itself, and of all that it is made of."""
    seen: dict[int, Any] = {}
    found = [node]
    while found:
        one = found.pop()
        if id(one) in seen or isinstance(one, (type, threading.Thread)):
            continue
        seen[id(one)] = one
        if len(seen) < 2000:
            found.extend(getattr(one, "__dict__", {}).values())
            found.extend(getattr(one, name, None) for name in getattr(one, "__slots__", ()))
            if isinstance(one, dict):
                found.extend(one.values())
            elif isinstance(one, (list, tuple, set)):
                found.extend(one)
    return "\n".join([node.info, str(vars(node)), *map(repr, seen.values())])


@pytest.mark.parametrize("kind", [Router, Service, Client])
def test_no_node_shows_it(kind: Any, said: pytest.LogCaptureFixture) -> None:
    node = kind("n", "127.0.0.1", 1, token=SECRET)
    assert SECRET not in shown(node)
    try:
        assert SECRET.encode() not in pickle.dumps(node)
    except TypeError as error:
        assert SECRET not in str(error)  # a node can't be pickled
    broken: list[dict[str, Any]] = [{"tls": "no"}, {"max_message": -1}, {"app_name": "\n"}]
    for wrong in broken:
        try:
            kind(**{"app_name": "n", "host": "127.0.0.1", "port": 1, "token": SECRET, **wrong})
        except Exception as error:
            assert error.__traceback__ is not None
            inside = error.__traceback__.tb_next
            lines = traceback.TracebackException(
                type(error), error, inside, capture_locals=True
            ).format()
            assert SECRET not in "".join(lines)
        else:
            raise AssertionError(wrong)
    assert SECRET not in said.text


@over_tcp
@over_router
@everybody_knows
async def test_neither_wire_nor_log_has_it(
    world: World, site: Site, said: pytest.LogCaptureFixture, proxies: Any
) -> None:
    proxy = proxies(site.server.port)
    proxy.record = True
    client = world.Client("recorded", port=proxy.port, expose=(), token=SECRET)
    conn = await world.call(client.connect)
    assert await world.call(conn.rpc(timeout=5, serde="json").add, 1, 2) == 3
    wrong = world.Client("recorded-too", port=proxy.port, expose=(), token=SECRET[1:])
    with pytest.raises(AuthenticationError) as caught:
        await world.call(wrong.connect)
    texts = [said.text, repr(caught.value), *traceback.format_exception(caught.value)]
    texts += [shown(client), repr(conn)]
    await world.call(client.stop)
    await world.call(wrong.stop)
    await world.until(lambda: "was refused" in said.text)
    assert b"recorded-too" in proxy.passed and b"add" in proxy.passed
    for secret in (SECRET, SECRET[1:]):
        for coded in (secret.encode(), secret.encode("utf-16-le"), secret.encode().hex().encode()):
            assert coded not in proxy.passed
        assert not any(secret in text for text in (*texts, said.text))


# Over time


@over_tcp
@over_router
@everybody_knows
async def test_a_wrong_token_on_the_way_back_is_told_and_tried_again(
    world: World, site: Site, said: pytest.LogCaptureFixture
) -> None:
    port = site.server.port
    await world.call(site.server.stop)
    other = world.Router("other", port=port, token="changed")
    await world.call(other.start)

    def warnings() -> list[str]:
        mine = [r for r in said.records if r.name == "daffi.node" and r.levelname == "WARNING"]
        return [r.getMessage() for r in mine if r.getMessage().startswith("caller:")]

    await world.until(warnings, within=10)
    assert "token=" in warnings()[0] and SECRET not in said.text and "changed" not in said.text
    await world.sleep(0.5)
    assert len(warnings()) == 1, "it is said once"
    with pytest.raises(Disconnected) as caught:
        await world.call(site.conn.rpc(timeout=0.2).add, 1, 2)
    assert caught.value.sent is False
    await world.call(other.stop)
    await site.start_server(port)
    await world.call(site.conn.wait_for_function, "add", timeout=15)
    assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3


@over_router
async def test_without_a_token_anybody_takes_a_name_over(world: World, site: Site) -> None:
    newer = world.Client("worker", **site.address, workers=1)
    await world.call(newer.connect)
    with pytest.raises(Evicted):
        await world.call(site.worker.join)
    await world.call(newer.stop)


@over_router
@everybody_knows
async def test_who_knows_the_token_takes_a_name_over(world: World, site: Site) -> None:
    nosy = world.Client("worker", **site.address, workers=1, token="another")
    with pytest.raises(AuthenticationError):
        await world.call(nosy.connect)
    await world.call(nosy.stop)
    assert await world.call(site.conn.rpc(timeout=5).add, 1, 2) == 3, "the old one stays"
    newer = world.Client("worker", **site.address, workers=1, token=SECRET)
    await world.call(newer.connect)
    with pytest.raises(Evicted):
        await world.call(site.worker.join)
    await world.call(newer.stop)
