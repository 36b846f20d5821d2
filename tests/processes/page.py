"""Run the pieces of a page of the documentation: `page.py PAGE`. `pages.py` says how."""

import ast
import asyncio
import contextlib
import inspect
import io
import re
import sys
from types import CodeType
from typing import Any

from pages import sections

import daffi

PAGE = sys.argv[1]
SAID = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)


def compiled(code: str) -> CodeType:
    """A piece, in which `await` may stand anywhere."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    made: CodeType = compile(code, PAGE, "exec", flags=flags, dont_inherit=True)
    return made


def awaits(code: str) -> bool:
    """Whether it needs an event loop."""
    return bool(compiled(code).co_flags & inspect.CO_COROUTINE)


@contextlib.contextmanager
def checked(code: str) -> Any:
    """See that what runs in here prints what the piece says."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        yield
    said, promised = out.getvalue().splitlines(), SAID.findall(code)
    assert said == promised, f"{code}\nprints {said}"


@contextlib.contextmanager
def connected(names: dict[str, Any], conn: object) -> Any:
    """While a section runs; a page may make a `conn` of its own, and keeps it."""
    names.setdefault("conn", conn)
    yield
    if names["conn"] is conn:
        del names["conn"]


def run_blocking(pieces: list[str], names: dict[str, Any]) -> None:
    with (
        daffi.Service("calculator") as service,
        daffi.Client(port=service.port) as conn,
        connected(names, conn),
    ):
        for code in pieces:
            with checked(code):
                eval(compiled(code), names)


async def run_awaited(world: Any, pieces: list[str], names: dict[str, Any]) -> None:
    async with (
        world.AsyncService("calculator") as service,
        world.AsyncClient(port=service.port) as conn,
    ):
        with connected(names, conn):
            await run_pieces(pieces, names)


async def run_pieces(pieces: list[str], names: dict[str, Any]) -> None:
    for code in pieces:
        with checked(code):
            coroutine = eval(compiled(code), names)
            if coroutine is not None:
                await coroutine


def main() -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    done = 0
    for section in sections(PAGE):
        pieces = section.pieces()
        if not any(map(awaits, pieces)):
            run_blocking(pieces, names)
        elif "trio" in names or any("import trio" in code for code in pieces):
            import trio

            import daffi.trio

            trio.run(run_awaited, daffi.trio, pieces, names)
        else:
            import daffi.aio

            asyncio.run(run_awaited(daffi.aio, pieces, names))
        done += len(pieces)
    print("ran", done)


main()
