"""Peers on another machine: no pickles, until somebody proves something or says so."""

from __future__ import annotations

import contextlib
import json
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import strangers
from namespaces import Elsewhere
from offered import add
from programs import Program, Programs
from strangers import Stranger, frame

from daffi import Client, Router, Service
from daffi.exceptions import SerdeNotAllowed

SECRET = "one for everybody in this test"
WAITED = ("rpc", "cast", "stream")
STYLES = (*WAITED, *(f"{style}_nowait" for style in WAITED))
EVERYWHERE = "0.0.0.0"

# What all nodes are given, so that they trust each other.
TRUSTING: list[Any] = [
    pytest.param({"token": SECRET}, id="token"),
    pytest.param({"allow_pickle": True}, id="allow_pickle"),
]


def ask(program: Program, style: str, serde: str) -> dict[str, Any]:
    """What comes of a call that a program is told to make."""
    args: list[Any] = [[1, 2]] if style.startswith("stream") else [1]
    program.tell(json.dumps({"style": style, "serde": serde, "function": "add", "args": args}))
    answer: dict[str, Any] = json.loads(program.line())
    return answer


def asker(
    programs: Programs, elsewhere: Elsewhere, port: int | None, name: str, **options: Any
) -> Program:
    """A client over there, of a server that is here."""
    given = json.dumps({"app_name": name, "host": elsewhere.ours, "port": port, **options})
    return programs.ready("asking.py", given, within=elsewhere.within)


@contextlib.contextmanager
def serving(kind: Any, **options: Any) -> Iterator[Any]:
    """A server that is reached from elsewhere too, and a worker on its own machine."""
    with kind("host", host=EVERYWHERE, **options) as server:
        if kind is Router:
            with Client("near", port=server.port, **options):
                yield server
        else:
            yield server


def hinted(text: str, *hints: str) -> None:
    assert all(hint in text for hint in ("token=", "TLS", "allow_pickle=True", "JSON", *hints))


@pytest.mark.parametrize("kind", [Router, Service])
def test_a_caller_from_elsewhere(programs: Programs, elsewhere: Elsewhere, kind: Any) -> None:
    with serving(kind) as server:
        far = asker(programs, elsewhere, server.port, "far", allow_pickle=True)
        for style in STYLES:
            answer = ask(far, style, "pickle")
            assert answer["error"] == "SerdeNotAllowed", (style, answer)
            hinted(answer["text"], "far")
            assert "error" not in ask(far, style, "json"), style
        assert far.leave() == 0


@pytest.mark.parametrize("kind", [Router, Service])
@pytest.mark.parametrize("options", TRUSTING)
def test_a_caller_from_elsewhere_that_is_trusted(
    programs: Programs, elsewhere: Elsewhere, kind: Any, options: dict[str, Any]
) -> None:
    with serving(kind, **options) as server:
        far = asker(programs, elsewhere, server.port, "far", **options)
        for style in STYLES:
            answer = ask(far, style, "pickle")
            assert "error" not in answer, (style, answer)
        assert far.leave() == 0


def test_a_caller_that_does_not_trust_its_server(programs: Programs, elsewhere: Elsewhere) -> None:
    with serving(Service, allow_pickle=True) as server:
        far = asker(programs, elsewhere, server.port, "far")
        for style in STYLES:
            answer = ask(far, style, "pickle")
            if style in ("rpc", "cast"):
                assert answer["error"] == "SerdeNotAllowed"
                hinted(answer["text"], "ca_file=", "Client(allow_pickle=True)", "host")
            else:
                assert "error" not in answer, "nothing that is pickled comes back"
        assert far.leave() == 0


def near_outcomes(port: int | None, serde: str, **options: Any) -> dict[str, Any]:
    """What a caller on the server's machine gets of the worker `worker`."""
    found: dict[str, Any] = {}
    with Client("caller", port=port, expose=(), **options) as conn:
        for style in STYLES:
            how: dict[str, Any] = {} if style.endswith("nowait") else {"timeout": 10}
            args: tuple[Any, ...] = ([1, 2],) if style.startswith("stream") else (1,)
            function = getattr(conn, style)(serde=serde, receiver="worker", **how).add
            try:
                result = function(*args)
            except SerdeNotAllowed as error:
                result = error
            found[style] = result["worker"] if style == "cast" else result
    return found


def test_a_worker_from_elsewhere(programs: Programs, elsewhere: Elsewhere) -> None:
    with Router("host", host=EVERYWHERE) as server:
        far = asker(programs, elsewhere, server.port, "worker")
        found = near_outcomes(server.port, "pickle")
        for style in WAITED:
            assert isinstance(found[style], SerdeNotAllowed), style
            hinted(str(found[style]), "worker" if style != "stream" else "host")
        assert near_outcomes(server.port, "json")["rpc"] == add(1)
        assert far.leave() == 0
        assert far.stderr.count("that nobody waits for") >= 3, "it says so where nobody waits"
        # One that would read them is still not read by the others.
        eager = asker(programs, elsewhere, server.port, "worker", allow_pickle=True)
        found = near_outcomes(server.port, "pickle")
        assert isinstance(found["rpc"], SerdeNotAllowed)
        assert found["stream"] is None
        assert eager.leave() == 0


@pytest.mark.parametrize("options", TRUSTING)
def test_a_worker_from_elsewhere_that_is_trusted(
    programs: Programs, elsewhere: Elsewhere, options: dict[str, Any]
) -> None:
    with Router("host", host=EVERYWHERE, **options) as server:
        far = asker(programs, elsewhere, server.port, "worker", **options)
        found = near_outcomes(server.port, "pickle", **options)
        assert (found["rpc"], found["cast"]) == (1, 1)
        assert not any(isinstance(one, Exception) for one in found.values())
        assert far.leave() == 0


@pytest.mark.parametrize("role", ["service", "router"])
def test_a_stranger_from_elsewhere(programs: Programs, elsewhere: Elsewhere, role: str) -> None:
    """Here it is the server that is over there; a stranger does not ask what it may do."""
    how = ("--url", f"tcp://{EVERYWHERE}:0")
    server = programs.start("serve.py", role, *how, within=elsewhere.within)
    url = server.expect("ready")
    if role == "router":
        programs.start("serve.py", "worker", "--url", url, within=elsewhere.within).expect("ready")
    body = pickle.dumps(((1,), {}), 5)
    with Stranger(int(url.rpartition(":")[2]), host=elsewhere.address) as stranger:
        hinted(stranger.greet("mine").map["no_pickle"], "stranger")
        for id, flags in enumerate((0, strangers.ONEWAY, strangers.CAST), 1):
            stranger.call("add", body, format=strangers.PICKLE, flags=flags, id=id)
            answer = stranger.hear()
            assert (answer.kind, answer.id) == (strangers.FAILURE, id)
            assert answer.map["kind"] == "serde_not_allowed"
        stranger.open("add", 7)
        stranger.await_items(7)
        stranger.say(frame(strangers.ITEM, body, id=7, format=strangers.PICKLE))
        answer = stranger.hear()
        assert (answer.id, answer.map["kind"]) == (7, "serde_not_allowed")
        stranger.call("add", b"[[1,2],{}]", format=strangers.JSON, id=8)
        assert stranger.hear().body == b"3"
