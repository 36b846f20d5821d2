"""URLs and the environment: what they say, who wins, and what is wrong with a bad one."""

from __future__ import annotations

from typing import Any

import pytest

from daffi import Client, Router, Service
from daffi.exceptions import InitializationError

KINDS = pytest.mark.parametrize("kind", [Router, Service, Client])


@KINDS
@pytest.mark.parametrize("place", ["url", "DAFFI_URL"])
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("127.0.0.1:4000", "no scheme"),
        ("localhost", "no scheme"),
        ("http://127.0.0.1:4000", "http://"),
        ("tcp://:4000", "no host"),
        ("tcp://127.0.0.1:many", "[Pp]ort"),
        ("tcp://127.0.0.1:70000", "[Pp]ort"),
        ("tcp://127.0.0.1:4000/path", "/path"),
        ("tcp://local\nhost:4000", "printed"),
        ("tcp://[::1:4000", "IPv6"),
        (" tcp://127.0.0.1:4000", "space"),
        ("unix://relative/path", "begins with /"),
        ("unix://", "begins with /"),
    ],
)
def test_a_bad_url_says_what_is_wrong_with_it(
    kind: Any, place: str, url: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {}
    if place == "url":
        given = {"url": url}
    else:
        monkeypatch.setenv("DAFFI_URL", url)
    with pytest.raises(InitializationError, match=words) as caught:
        kind("n", **given)
    assert str(caught.value).startswith(place) and repr(url) in str(caught.value)
    assert "tcp://host:port" in str(caught.value)


def test_a_client_needs_a_port_in_it() -> None:
    for url in ("tcp://127.0.0.1", "tls://127.0.0.1"):
        with pytest.raises(InitializationError, match="no port"):
            Client("n", url=url)
    with pytest.raises(InitializationError, match="port 0"):
        Client("n", url="tcp://127.0.0.1:0")


@KINDS
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("tcp://user:hunter2@127.0.0.1:4000", "password"),
        ("tcp://user:hunter2@127.0.0.1:70000", "password"),
        ("tcp://user:hunter2/x@127.0.0.1:4000", "password"),
        ("tcp://user:hunter2#x@127.0.0.1:4000", "password"),
        ("unix://hunter2@/tmp/s", "password"),
        ("tcp://@127.0.0.1:4000", "password"),
        ("ws://127.0.0.1:4000/?token=hunter2", "no \\?"),
        ("ws://127.0.0.1:4000#hunter2", "no #"),
    ],
)
def test_a_secret_in_a_url_is_not_repeated(kind: Any, url: str, words: str) -> None:
    with pytest.raises(InitializationError, match=words) as caught:
        kind("n", url=url)
    assert "hunter2" not in str(caught.value) and "tcp://host:port" in str(caught.value)


@KINDS
@pytest.mark.parametrize(
    "host", ["127.0.0.1:4000", "tcp://localhost", "localhost/", "u@localhost", "[localhost", "a b"]
)
def test_a_host_is_no_url(kind: Any, host: str) -> None:
    with pytest.raises(InitializationError, match="host is a name or an IP address"):
        kind("n", host, 4000)


@KINDS
def test_addresses_of_version_6(kind: Any) -> None:
    for given in ({"host": "::1"}, {"host": "[::1]"}):
        assert "tcp://[::1]:4000" in kind("n", port=4000, **given).info
    assert "//[fe80::1%lo]:4000" in kind("n", url="tcp://[fe80::1%lo]:4000").info


@KINDS
def test_explicit_arguments_win(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAFFI_URL", "tls://somewhere:4000")
    for given in ({"host": "127.0.0.1", "port": 4001}, {"url": "tcp://127.0.0.1:4001"}):
        assert "tcp://127.0.0.1:4001" in kind("n", **given).info
    assert "unix:///tmp/s" in kind("n", unix_sock_path="/tmp/s").info
    monkeypatch.setenv("DAFFI_URL", "tcp://127.0.0.1:4002")
    assert "tcp://127.0.0.1:4002" in kind("n").info
    monkeypatch.setenv("DAFFI_URL", "")
    if kind is Client:
        with pytest.raises(InitializationError, match="DAFFI_URL"):
            kind("n")
    else:
        assert "tcp://127.0.0.1:" in kind("n").info
