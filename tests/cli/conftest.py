"""A command line, and servers that it started."""

from __future__ import annotations

from pathlib import Path

import pytest
from commandline import CommandLine
from programs import Program, Programs


@pytest.fixture
def cli(tmp_path: Path, programs: Programs) -> CommandLine:
    """Runs `daffi`."""
    return CommandLine(tmp_path, programs)


@pytest.fixture
def service(cli: CommandLine) -> tuple[Program, str]:
    """`daffi serve functions.py`, and its URL."""
    return cli.up("serve", "functions.py")


@pytest.fixture
def router(cli: CommandLine) -> tuple[Program, str]:
    """`daffi router`, and its URL."""
    return cli.up("router")
