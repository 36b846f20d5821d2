"""Does an installed daffi work? Started by `make wheel`, outside of the checkout.

    smoke.py                   tries everything, each server in a process of its own
    smoke.py ROLE [OPTIONS]    one of those: service, router or worker, with options as JSON

Needs nothing but daffi, and OpenSSL's command for a certificate.
"""

from __future__ import annotations

import asyncio
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import daffi
from daffi import Client, Router, Service, callback
from daffi.aio import AsyncClient
from daffi.exceptions import RemoteCallError

SELF_SIGNED = (
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=server "
    "-addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE "
    "-keyout key.pem -out cert.pem"
)


@callback
def add(a: int, b: int) -> int:
    return a + b


@callback
async def fail(why: str) -> None:
    raise ValueError(why)


def play(role: str, options: dict[str, Any]) -> None:
    """Be a node until the input ends."""
    kinds: dict[str, Callable[..., Any]] = {"service": Service, "router": Router, "worker": Client}
    with kinds[role](role, **options) as node:
        print("ready", getattr(node, "port", None) or "", flush=True)
        sys.stdin.read()


@contextmanager
def started(role: str, **options: Any) -> Iterator[int]:
    """A node in a process of its own; its port."""
    child = subprocess.Popen(
        [sys.executable, "-I", __file__, role, json.dumps(options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin and child.stdout
    try:
        word, _, port = child.stdout.readline().strip().partition(" ")
        assert word == "ready", f"the {role} did not start"
        yield int(port or 0)
        child.stdin.close()
        assert child.wait(20) == 0, f"the {role} ended with {child.returncode}"
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def blocking(*serdes: str, **address: Any) -> None:
    with Client("blocking", **address) as conn:
        conn.wait_for_function("add", timeout=20)
        for serde in ("json", "msgpack", *serdes):
            assert conn.rpc(timeout=20, serde=serde).add(3, 4) == 7
        assert [*conn.cast(timeout=20, serde="json").add(3, 4).values()] == [7]
        try:
            conn.rpc(timeout=20, serde="json").fail("on purpose")
        except ValueError as error:
            assert isinstance(error, RemoteCallError), "without what happened over there"
        else:
            raise AssertionError("the failure did not arrive")


async def on_asyncio(**address: Any) -> None:
    async with AsyncClient("asyncio", **address) as conn:
        await conn.wait_for_function("add", timeout=20)
        call = conn.rpc(timeout=20, serde="json")
        assert await asyncio.gather(*(call.add(n, n) for n in range(9))) == [*range(0, 18, 2)]


def both(name: str, *serdes: str, **address: Any) -> None:
    """Call over this address, also with pickles where they may travel."""
    blocking(*serdes, **address)
    asyncio.run(on_asyncio(**address))
    print("   ", name, flush=True)


def try_what_is_inside() -> None:
    folder = Path(daffi.__file__).parent
    assert Path(sys.prefix) in folder.parents, f"{folder} is not what was installed"
    for name in ("py.typed", "_native.pyi"):
        assert (folder / name).is_file(), f"{name} is missing"
    about = metadata("daffi")
    assert about["Version"] == daffi.__version__
    assert about["License-Expression"] == "MIT"
    run = [sys.executable, "-I", "-m", "daffi", "--version"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60)
    # The command line is an extra, and says so where it is missing.
    expected = daffi.__version__ if done.returncode == 0 else "daffi[cli]"
    assert expected in done.stdout + done.stderr, done.stdout + done.stderr


def try_all(folder: Path) -> None:
    try_what_is_inside()
    with started("service") as port:
        both("a Service over TCP", "pickle", port=port)
        both("a Service over WebSocket", url=f"ws://127.0.0.1:{port}")
    with started("router") as port, started("worker", port=port):
        both("a Router and its worker", "pickle", port=port)
    if sys.platform != "win32":
        path = str(folder / "socket")
        with started("service", unix_sock_path=path):
            both("a Service over a Unix socket", "pickle", unix_sock_path=path)
    openssl = shutil.which("openssl")
    assert openssl, "openssl is missing"
    subprocess.run([openssl, *SELF_SIGNED.split()], cwd=folder, check=True, capture_output=True)
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    with started("service", tls=True, cert_file=cert, key_file=key) as port:
        both("a Service over TLS", "pickle", url=f"tls://localhost:{port}", ca_file=cert)


if __name__ == "__main__":
    if sys.argv[1:]:
        play(sys.argv[1], json.loads(sys.argv[2]))
    else:
        print(f"daffi {daffi.__version__} on Python {platform.python_version()}:", flush=True)
        with tempfile.TemporaryDirectory() as where:
            try_all(Path(where))
