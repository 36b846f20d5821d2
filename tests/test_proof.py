"""The proofs of a token, byte by byte: strangers that know the protocol, and spoil it."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import strangers
from sites import Site, engine_alone, over_router, over_tcp
from strangers import Imposter, Peer, Stranger, frame, proof, server_side
from worlds import World

from daffi import Client, Router
from daffi.exceptions import AuthenticationError, InitializationError

SECRET = "a secret that is not on the wire"
SECOND = 1.5  # a second, and some noise of the machine
KNOWS = {"token": SECRET}
everybody_knows = pytest.mark.site(server=KNOWS, worker=KNOWS, caller=KNOWS)


@contextlib.contextmanager
def router() -> Iterator[Router]:
    with Router("keeper", token=SECRET) as server:
        yield server


def answered(stranger: Stranger, challenge: strangers.Frame, **spoiled: Any) -> strangers.Frame:
    """What a server says to a proof; `spoiled` are the parts of it that are not as they should."""
    client = stranger.side(os.urandom(32))
    parts: dict[str, Any] = {
        "token": SECRET, "prover": "client", "client": client, "server": server_side(challenge),
        **spoiled,
    }  # fmt: skip
    stranger.say(frame(strangers.PROOF, {"nonce": client.nonce, "proof": proof(**parts)}))
    return stranger.hear()


def refused(answer: strangers.Frame, kind: str = "authentication") -> str:
    assert answer.kind == strangers.GOODBYE
    assert answer.map["kind"] == kind and answer.map["ran"] == "no"
    assert SECRET not in answer.map["message"]
    return str(answer.map["message"])


def test_a_stranger_with_the_token_is_a_member() -> None:
    with router() as server, Stranger(server.port) as stranger:
        challenge = stranger.greet("add")
        assert challenge.kind == strangers.CHALLENGE
        assert set(challenge.map) == {"nonce", "name", "incarnation"}
        nonce = os.urandom(32)
        client, keeper = stranger.side(nonce), server_side(challenge)
        ours = proof(SECRET, "client", client, keeper)
        stranger.say(frame(strangers.PROOF, {"nonce": nonce, "proof": ours}))
        welcome = stranger.hear()
        assert welcome.kind == strangers.WELCOME
        assert welcome.map["proof"] == proof(SECRET, "server", client, keeper)
        assert [member.name for member in server.members()] == ["stranger"]


def test_what_is_proven_wrongly_is_refused() -> None:
    with router() as server:
        for _ in range(2):
            for spoil in (
                {"token": "another"},
                {"prover": "server"},  # what the server would say
                {"client": strangers.Side(bytes(32), "stranger", bytes(16))},
                {"server": strangers.Side(bytes(32), "keeper", bytes(16))},
            ):
                with Stranger(server.port) as stranger:
                    challenge = stranger.greet("add")
                    text = refused(answered(stranger, challenge, **spoil))
                    assert "token=" in text and "keeper" not in text
                    assert stranger.ends()
        with Stranger(server.port) as stranger:
            challenge = stranger.greet()
            other = stranger.side(os.urandom(32))._replace(name="boss")
            refused(answered(stranger, challenge, client=other))
        assert server.members() == []


def test_a_proof_is_good_once() -> None:
    with router() as server:
        with Stranger(server.port) as first:
            challenge = first.greet()
            nonce = os.urandom(32)
            good = proof(SECRET, "client", first.side(nonce), server_side(challenge))
            body = {"nonce": nonce, "proof": good}
            first.say(frame(strangers.PROOF, body))
            assert first.hear().kind == strangers.WELCOME
        with Stranger(server.port) as second:
            second.incarnation = first.incarnation
            again = second.greet()
            assert again.map["nonce"] != challenge.map["nonce"]
            second.say(frame(strangers.PROOF, body))
            refused(second.hear())


def test_before_the_proof_nothing_is_heard() -> None:
    with router() as server:
        with Stranger(server.port) as stranger:
            stranger.greet()
            stranger.call("add", b"[[1,2],{}]", format=strangers.JSON)
            assert "token=" in refused(stranger.hear())
            assert stranger.ends()
        long = {"nonce": bytes(32), "proof": bytes(32), "more": bytes(4096)}
        short = {"nonce": bytes(31), "proof": bytes(32)}
        for body in (long, short, {"nonce": bytes(32)}, b"\xc1" * 20):
            with Stranger(server.port) as stranger:
                stranger.greet()
                stranger.say(frame(strangers.PROOF, body))
                refused(stranger.hear(), "protocol")
        # The name of the server is not for everybody either.
        with Stranger(server.port, "keeper") as stranger:
            assert stranger.greet().kind == strangers.CHALLENGE
        assert server.members() == []
        with Client("good", port=server.port, token=SECRET, expose=()) as conn:
            assert [member.name for member in conn.members()] == ["good"]


@engine_alone
@over_tcp
@over_router
@everybody_knows
async def test_who_is_silent_when_asked_is_cut_and_holds_nobody_up(
    world: World, site: Site
) -> None:
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(Stranger(site.server.port, f"s{i}")) for i in range(50)]
        for stranger in silent:
            assert stranger.greet("add").kind == strangers.CHALLENGE
        before = time.monotonic()
        conn = await site.join("good", **KNOWS)
        assert await world.call(conn.rpc(timeout=5).add, 1, 2) == 3
        assert time.monotonic() - before < SECOND
        for stranger in silent:
            assert stranger.ends()
        assert time.monotonic() - before < 7


# Somebody in the server's place


def connect_to(imposter: Imposter, talk: Any) -> tuple[BaseException | None, Any]:
    """What a client that has the token makes of an imposter, and what `talk` returned."""
    heard: list[Any] = []
    thread = threading.Thread(target=lambda: heard.append(imposter.serve(talk)), daemon=True)
    thread.start()
    client = Client("careful", port=imposter.port, token=SECRET, expose=())
    caught: BaseException | None = None
    try:
        client.connect()
    except InitializationError as error:
        caught = error
    finally:
        client.stop()
    thread.join(10)
    return caught, heard[0]


CHALLENGE = {"nonce": b"n" * 32, "name": "imposter", "incarnation": bytes(16)}


def ask(peer: Peer, **more: Any) -> strangers.Frame:
    peer.say(strangers.PREAMBLE, frame(strangers.CHALLENGE, {**CHALLENGE, **more}))
    return peer.hear()


def test_a_server_that_does_not_know_it_is_left() -> None:
    def asks_for_nothing(peer: Peer) -> bool:
        peer.say(strangers.welcome())
        return peer.ends()

    def promises(peer: Peer) -> bool:
        peer.say(strangers.welcome(proof=bytes(32)))
        return peer.ends()

    def proves_nothing(peer: Peer) -> bool:
        ask(peer)
        peer.say(strangers.welcome()[8:])
        return peer.ends()

    def proves_wrongly(peer: Peer) -> bool:
        ask(peer)
        peer.say(strangers.welcome(proof=bytes(32))[8:])
        return peer.ends()

    def reflects(peer: Peer) -> bool:
        theirs = ask(peer).map
        peer.say(strangers.welcome(proof=theirs["proof"])[8:])
        return peer.ends()

    with Imposter() as imposter:
        for talk in (asks_for_nothing, promises, proves_nothing, proves_wrongly, reflects):
            caught, left = connect_to(imposter, talk)
            assert isinstance(caught, AuthenticationError), talk
            assert "token=" in str(caught) and left, talk


def test_what_a_client_proves_is_good_for_nobody_else() -> None:
    """A server with the token hears nothing from which its own proof could be made."""
    with router() as server, Imposter() as imposter:

        def relay_to_another_name(peer: Peer) -> Any:
            with Stranger(server.port, "careful") as stranger:
                challenge = stranger.greet().map
                theirs = ask(peer, **challenge).map
                stranger.say(frame(strangers.PROOF, theirs))
                return stranger.hear()

        _, answer = connect_to(imposter, relay_to_another_name)
        refused(answer)  # its incarnation is not the client's
        assert server.members() == []
