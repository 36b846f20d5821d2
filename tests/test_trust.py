"""Whose pickles are read: nobody's who may not be trusted, in no style, in no direction."""

from __future__ import annotations

import logging
import os
import pickle
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import strangers
from programs import Programs
from sites import Site, over_router
from strangers import Frame, Imposter, Peer, Stranger, WebStranger, frame
from worlds import World

from daffi import Client, Router, Service, callback
from daffi._native import encode_msgpack
from daffi.exceptions import DaffiError, RemoteCallError, SerdeNotAllowed

WAITED = ("rpc", "cast", "stream")
STYLES = (*WAITED, *(f"{style}_nowait" for style in WAITED))
ran: list[Any] = []


@callback
def trust_note(value: Any) -> Any:
    """Keep what came."""
    ran.append(value)
    return value


@callback
def trust_raise(text: str) -> None:
    """Fail."""
    raise ValueError(text)


@pytest.fixture(autouse=True)
def nothing_has_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAFFI_TOKEN", raising=False)
    ran.clear()


async def call(world: World, conn: Any, style: str, function: str, *args: Any, **how: Any) -> Any:
    if style.startswith("stream"):
        args = ([args[0]],)
    return await world.call(getattr(getattr(conn, style)(**how), function), *args)


# allow_pickle=False


@pytest.mark.site(server={"allow_pickle": False})
@pytest.mark.parametrize("style", STYLES)
async def test_a_server_that_reads_none(world: World, site: Site, style: str) -> None:
    with pytest.raises(SerdeNotAllowed, match="allow_pickle=False") as caught:
        await call(world, site.conn, style, "trust_note", 1, serde="pickle")
    assert "JSON" in str(caught.value)
    for serde in ("json", "msgpack"):
        await call(world, site.conn, style, "trust_note", 2, serde=serde)
    await world.until(lambda: len(ran) == 2)
    assert ran == [2, 2]
    await site.settled()


@over_router
async def test_a_worker_that_reads_none_is_passed_over(world: World, site: Site) -> None:
    await site.join("wary", expose=None, allow_pickle=False)
    await world.call(site.conn.wait_for_members, "wary", timeout=5)
    threads = await world.call(site.conn.cast(timeout=5, serde="json").thread_id)
    assert set(threads) == {"worker", "wary"}
    for _ in range(4):
        ran = await world.call(site.conn.rpc(timeout=5, serde="pickle").thread_id)
        assert ran == threads["worker"]
    call = site.conn.rpc(timeout=5, serde="json").thread_id
    assert {await world.call(call) for _ in range(4)} == set(threads.values())
    await world.call(site.worker.stop)
    with pytest.raises(SerdeNotAllowed, match="allow_pickle=False"):
        await world.call(site.conn.rpc(timeout=5, serde="pickle").thread_id)
    await site.settled()


@pytest.mark.site(caller={"allow_pickle": False})
async def test_a_caller_that_reads_none(world: World, site: Site) -> None:
    for style in ("rpc", "cast"):
        with pytest.raises(SerdeNotAllowed, match="made with allow_pickle=False"):
            await call(world, site.conn, style, "trust_note", 1, serde="pickle")
        await call(world, site.conn, style, "trust_note", 2, serde="json")
    assert ran == [2, 2], "what it may not hear the answer of never ran"
    # What has no answer it may send.
    for style in ("stream", "rpc_nowait", "cast_nowait", "stream_nowait"):
        await call(world, site.conn, style, "trust_note", 3, serde="pickle")
    await world.until(lambda: len(ran) == 6)
    with pytest.raises(ValueError, match="no"):
        await world.call(site.conn.rpc(timeout=5, serde="json").trust_raise, "no")
    await site.settled()


@over_router
@pytest.mark.site(worker={"allow_pickle": False})
@pytest.mark.parametrize("style", STYLES)
async def test_a_worker_that_reads_none(
    world: World, site: Site, style: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "daffi"):
        if style == "cast":
            answers = await call(world, site.conn, style, "trust_note", 1, serde="pickle")
            assert isinstance(answers["worker"], SerdeNotAllowed)
        elif style in WAITED:
            with pytest.raises(SerdeNotAllowed, match="allow_pickle=False"):
                await call(world, site.conn, style, "trust_note", 1, serde="pickle")
        else:
            await call(world, site.conn, style, "trust_note", 1, serde="pickle")
            await world.until(lambda: "allow_pickle=False" in caplog.text)
    await call(world, site.conn, style, "trust_note", 2, serde="json")
    await world.until(lambda: ran)
    assert ran == [2]
    await site.settled()


# The canary: a pickle that makes a file when it is read


class Canary:
    """What somebody sends who wants more than an answer."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)

    @property
    def argument(self) -> bytes:
        """It as the arguments of a call."""
        return pickle.dumps(((self,), {}), 5)

    @property
    def value(self) -> bytes:
        """It as a result, or as an exception."""
        return pickle.dumps(self, 5)


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Canary]:
    """One that must not have been read when the test is over."""
    made = Canary(tmp_path / "sung")
    yield made
    assert not made.path.exists()


def refused(answer: Frame, text: str = "allow_pickle") -> None:
    assert answer.kind == strangers.FAILURE
    said = answer.map
    assert (said["kind"], said["ran"]) == ("serde_not_allowed", "no")
    assert text in said["message"]


def test_the_canary_sings_where_it_may(tmp_path: Path) -> None:
    canary = Canary(tmp_path / "sung")
    with Service("host") as server, Stranger(server.port) as stranger:
        assert stranger.greet().kind == strangers.WELCOME
        stranger.call("trust_note", canary.argument, format=strangers.PICKLE)
        assert stranger.hear().kind == strangers.ANSWER
    assert canary.path.exists(), "loopback is trusted"


@pytest.mark.parametrize("kind", [Router, Service])
def test_the_canary_over_a_connection_without_pickles(kind: Any, canary: Canary) -> None:
    with kind("host", allow_pickle=False) as server:
        worker = Client("worker", port=server.port)
        worker.connect()
        with Stranger(server.port) as stranger:
            said = stranger.greet().map
            assert "allow_pickle=False" in said["no_pickle"]
            stranger.call("trust_note", canary.argument, format=strangers.PICKLE)
            refused(stranger.hear())
            stranger.call(
                "trust_note", canary.argument, format=strangers.PICKLE, flags=strangers.ONEWAY, id=2
            )
            refused(stranger.hear())
            # As one item of a stream that began well.
            for id, flags in ((3, 0), (4, strangers.ONEWAY)):
                stranger.open("trust_note", id, flags)
                stranger.await_items(id)
                stranger.say(frame(strangers.ITEM, canary.argument, id=id, format=strangers.PICKLE))
                refused(stranger.hear())
            # Read as what it says it is, it is nothing.
            stranger.call("trust_note", canary.argument, format=strangers.JSON, id=5)
            assert stranger.hear().map["kind"] == "serialization"
        worker.stop()
    assert ran == []


def test_the_canary_over_websocket(canary: Canary) -> None:
    with Service("host", allow_pickle=True) as server, WebStranger(server.port) as stranger:
        said = stranger.greet().map
        assert "WebSocket" in said["no_pickle"]
        stranger.call("trust_note", canary.argument, format=strangers.PICKLE)
        refused(stranger.hear(), "WebSocket")
        stranger.open("trust_note", 2)
        stranger.await_items(2)
        stranger.say(frame(strangers.ITEM, canary.argument, id=2, format=strangers.PICKLE))
        refused(stranger.hear(), "WebSocket")
        stranger.call("trust_note", b"[[1],{}]", format=strangers.JSON, id=3)
        assert stranger.hear().body == b"1"


def test_the_canary_before_the_greeting(canary: Canary) -> None:
    fields = ((strangers.FUNCTION, b"trust_note"),)
    as_call = frame(strangers.CALL, canary.argument, id=1, format=strangers.PICKLE, fields=fields)
    as_hello = frame(strangers.HELLO, canary.value, format=strangers.PICKLE)
    with Service("host") as server:
        for first in (
            canary.value,
            strangers.PREAMBLE + canary.value,
            strangers.PREAMBLE + as_call,
            strangers.PREAMBLE + as_hello,
            strangers.PREAMBLE + frame(strangers.PROOF, canary.value, format=strangers.PICKLE),
        ):
            with Stranger(server.port) as stranger:
                stranger.say(first)
                assert stranger.all_to_the_end()
        with Client("good", port=server.port, expose=()) as conn:
            assert conn.rpc(timeout=5).trust_note(1) == 1
    assert ran == [1]


@pytest.mark.parametrize("shape", ["answer", "error", "part", "failing part"])
def test_the_canary_from_a_worker(shape: str, canary: Canary) -> None:
    raised = {
        "kind": "raised", "ran": "yes", "message": "oh", "type": "x.Canary",
        "pickle": canary.value,
    }  # fmt: skip
    as_answer = "answer" in shape or shape == "part"
    cast = "part" in shape
    with Router("host", allow_pickle=False) as server, Stranger(server.port, "w") as stranger:
        stranger.greet("far_one")
        outcome: list[Any] = []

        def ask() -> None:
            with Client("c", port=server.port, expose=()) as conn:
                style = conn.cast if cast else conn.rpc
                try:
                    outcome.append(style(timeout=10, serde="json").far_one(1))
                except DaffiError as error:
                    outcome.append(error)

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        call = stranger.hear()
        assert (call.kind, call.format) == (strangers.CALL, strangers.JSON)
        if as_answer:
            body, kind, form = canary.value, strangers.ANSWER, strangers.PICKLE
        else:
            body, kind, form = encode_msgpack(raised), strangers.FAILURE, 0
        stranger.say(frame(kind, body, id=call.id, format=form))
        asking.join(10)
    (came,) = outcome
    error = came["w"] if cast else came
    assert type(error) is (SerdeNotAllowed if as_answer else RemoteCallError)
    assert not as_answer or "allow_pickle" in str(error)


def test_the_canary_from_a_server(canary: Canary) -> None:
    """As a call, as an item, as an answer and as an error, to a client that reads none."""
    heard: list[Frame] = []

    def talk(peer: Peer) -> None:
        peer.say(strangers.welcome())
        fields = ((strangers.FUNCTION, b"trust_note"), (strangers.ORIGIN, b"\x01boss"))
        how: dict[str, Any] = {"format": strangers.PICKLE, "fields": fields}
        peer.say(frame(strangers.CALL, canary.argument, id=1, **how))
        peer.say(frame(strangers.OPEN, id=2, fields=fields))
        peer.say(frame(strangers.ITEM, canary.argument, id=2, format=strangers.PICKLE))
        raised = {"kind": "raised", "ran": "yes", "message": "oh", "pickle": canary.value}
        calls = 0
        while len(heard) < 2 or calls < 2:
            came = peer.hear()
            if came.kind == strangers.FAILURE:
                heard.append(came)
            elif came.kind == strangers.CALL:
                calls += 1
                if calls == 1:
                    form = strangers.PICKLE
                    peer.say(frame(strangers.ANSWER, canary.value, id=came.id, format=form))
                else:
                    peer.say(frame(strangers.FAILURE, raised, id=came.id))
        peer.all_to_the_end()

    with Imposter() as imposter:
        serving = threading.Thread(target=imposter.serve, args=(talk,), daemon=True)
        serving.start()
        with Client("careful", port=imposter.port, expose=(), allow_pickle=False) as conn:
            with pytest.raises(SerdeNotAllowed):
                conn.rpc(timeout=5, serde="json").anything(1)
            with pytest.raises(RemoteCallError, match="oh"):
                conn.rpc(timeout=5, serde="json").anything(1)
        serving.join(10)
        assert not serving.is_alive()
    for failure in heard:
        refused(failure)
    assert ran == []


def test_the_canary_in_an_event(canary: Canary) -> None:
    """Nobody reads a pickle there, not even from a server that is trusted."""
    events: list[Any] = []

    def talk(peer: Peer) -> None:
        peer.say(strangers.welcome())
        fine = frame(strangers.PRESENCE, [True, "somebody"])
        peer.say(fine, frame(strangers.PRESENCE, canary.value, format=strangers.PICKLE))
        peer.all_to_the_end()

    with Imposter() as imposter:
        serving = threading.Thread(target=imposter.serve, args=(talk,), daemon=True)
        serving.start()
        client = Client("listener", port=imposter.port, expose=(), reconnect=False)
        client.add_event_handler(events.append)
        client.connect()
        serving.join(10)
        client.stop()
    names = [event["member"] for event in events if event["type"] == "connected"]
    assert set(names) <= {"imposter", "somebody"}


# Whom the system says it is


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux who is there")
def test_a_unix_socket_trusts_its_own_user(short_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    short_path.chmod(0o755)
    path = short_path / "s"
    with Service("host", unix_sock_path=path) as server:
        path.chmod(0o777)
        with Client("root", unix_sock_path=path, expose=()) as conn:
            assert conn.rpc(timeout=5).trust_note(1) == 1
        other = Client("nobody", unix_sock_path=path, expose=())
        os.seteuid(65534)
        try:
            conn = other.connect()
        finally:
            os.seteuid(0)
        with pytest.raises(SerdeNotAllowed, match="another machine or user"):
            conn.rpc(timeout=5).trust_note(2)
        assert conn.rpc(timeout=5, serde="json").trust_note(3) == 3
        other.stop()
        assert server.members() != []
    assert ran == [1, 3]


# A Router


def test_a_router_reads_no_pickle(programs: Programs) -> None:
    """It would die of one."""
    router = programs.start("poisoned.py")
    url = router.expect("ready")
    worker = Client("worker", url=url)
    worker.connect()
    with Client("caller", url=url, expose=()) as conn:
        for style in WAITED:
            args: tuple[Any, ...] = ({"x": {1, 2}},)
            if style == "stream":
                args = ([*args, *args],)
            getattr(conn, style)(timeout=10, serde="pickle").trust_note(*args)
        large = [bytes(100_000), {"deep": [Exception("x"), range(3)]}]
        assert len(conn.rpc(timeout=10).trust_note(large)) == 2
        with pytest.raises(ValueError):
            conn.rpc(timeout=10).trust_raise("oh")
        conn.rpc_nowait().trust_note({1})
        conn.stream_nowait(serde="pickle").trust_note([{2}, {3}])
        conn.cast_nowait().trust_note({4})
        assert {member.name for member in conn.members()} == {"worker", "caller"}
        with Stranger(int(url.rpartition(":")[2]), "odd") as stranger:
            stranger.greet()
            stranger.call("trust_note", pickle.dumps(((), {}), 5), format=strangers.PICKLE)
            stranger.hear()
    worker.stop()
    assert len(ran) >= 5
    assert router.leave() == 0
    bitten = programs.ready("poisoned.py")
    bitten.tell("bite")
    assert bitten.wait() == 99, "the poison works"
