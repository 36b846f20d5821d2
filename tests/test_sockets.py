"""Unix sockets: what lies on the path already, who may read it, what is left afterwards."""

from __future__ import annotations

import os
import socket
import stat
import time
from pathlib import Path

import pytest
from programs import Programs

from daffi import Client, Router, Service
from daffi.exceptions import InitializationError

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
KINDS = pytest.mark.parametrize("kind", [Router, Service])


@pytest.fixture
def path(short_path: Path) -> Path:
    return short_path / "s"


@KINDS
def test_created_for_its_owner_alone(kind: type[Service], path: Path) -> None:
    mask = os.umask(0)
    try:
        with kind("server", unix_sock_path=path):
            mode = path.stat().st_mode
            assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600
    finally:
        os.umask(mask)
    assert not path.exists()  # it is taken away at the end


@KINDS
def test_what_is_not_a_socket_is_refused_and_left(kind: type[Service], path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(InitializationError, match=str(path)):
        kind("server", unix_sock_path=path).start()
    assert path.read_text() == "precious"

    path.unlink()
    path.mkdir()
    with pytest.raises(InitializationError, match=str(path)):
        kind("server", unix_sock_path=path).start()
    assert path.is_dir()

    path.rmdir()
    target = path.with_name("target")
    for make in (lambda: target.write_text("precious"), lambda: None, target.unlink):
        make()
        if not path.is_symlink():
            path.symlink_to(target)
        with pytest.raises(InitializationError, match=str(path)):
            kind("server", unix_sock_path=path).start()
        assert path.is_symlink()


@KINDS
def test_a_link_to_a_stale_socket_is_left(kind: type[Service], path: Path) -> None:
    target = path.with_name("target")
    with socket.socket(socket.AF_UNIX) as raw:
        raw.bind(str(target))
    path.symlink_to(target)
    with pytest.raises(InitializationError, match=str(path)):
        kind("server", unix_sock_path=path).start()
    assert path.is_symlink() and target.exists()


@KINDS
def test_a_live_server_is_not_robbed(kind: type[Service], path: Path) -> None:
    with Service("first", unix_sock_path=path):
        with pytest.raises(InitializationError, match="in use"):
            kind("second", unix_sock_path=path).start()
        with Client("caller", unix_sock_path=path, expose=()) as conn:
            assert conn.rpc(timeout=5).add(1, 2) == 3


@KINDS
def test_a_strangers_live_socket_is_left(kind: type[Service], path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.bind(str(path))
        raw.listen()
        before = time.monotonic()
        with pytest.raises(InitializationError, match="in use"):
            kind("second", unix_sock_path=path).start()
        assert time.monotonic() - before < 2
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))


def test_a_stale_one_is_replaced(path: Path, programs: Programs) -> None:
    dead, _ = programs.serve("service", "--url", f"unix://{path}")
    dead.kill()
    assert path.exists()
    with Service("server", unix_sock_path=path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with Client("caller", unix_sock_path=path, expose=()) as conn:
            assert conn.rpc(timeout=5).add(1, 2) == 3


def test_a_successor_is_not_taken_away(path: Path) -> None:
    """A server removes the file that it made, not one that took its place."""
    first = Service("first", unix_sock_path=path)
    first.start()
    path.unlink()
    with Service("second", unix_sock_path=path):
        first.stop()
        with Client("caller", unix_sock_path=path, expose=()) as conn:
            assert conn.rpc(timeout=5).add(1, 2) == 3


@KINDS
def test_a_path_that_cannot_be(kind: type[Service], short_path: Path) -> None:
    for path in (short_path / "missing" / "s", short_path / ("x" * 200)):
        with pytest.raises(InitializationError, match=path.name[:40]):
            kind("server", unix_sock_path=path).start()


def test_a_client_at_what_is_no_server(path: Path) -> None:
    for make in (lambda: None, lambda: path.write_text("x")):
        make()
        with pytest.raises(InitializationError, match=str(path)):
            Client("lost", unix_sock_path=path, expose=()).connect()
