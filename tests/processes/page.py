"""Run the Python blocks of a page of the documentation: `page.py FILE`.

They are pieces of one program, in which `conn` is a connection to a node that offers the
callbacks of the page, and `await` may stand anywhere. What a line says behind `print(...)  #` is
what it must print. Blocks under the heading "Trio" run on Trio, the others on asyncio.
"""

import ast
import asyncio
import contextlib
import inspect
import io
import re
import sys
from pathlib import Path
from typing import Any

import trio

import daffi.aio
import daffi.trio

PAGE = Path(sys.argv[1])
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SAID = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)


async def run_block(code: str, names: dict[str, Any]) -> None:
    """Run one piece, and see that it prints what it says."""
    out = io.StringIO()
    piece = compile(code, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with contextlib.redirect_stdout(out):
        coroutine = eval(piece, names)
        if inspect.iscoroutine(coroutine):
            await coroutine
    said, promised = out.getvalue().splitlines(), SAID.findall(code)
    assert said == promised, f"{code}\nprints {said}"


async def run_blocks(world: Any, text: str) -> None:
    """Run all pieces of a part of the page, in order."""
    names: dict[str, Any] = {"__name__": "page"}
    async with (
        world.AsyncService("calculator") as service,
        world.AsyncClient(port=service.port) as conn,
    ):
        names["conn"] = conn
        for code in BLOCK.findall(text):
            await run_block(code, names)


before, _, after = PAGE.read_text("utf-8").partition("\n## Trio\n")
asyncio.run(run_blocks(daffi.aio, before))
if after:
    trio.run(run_blocks, daffi.trio, after)
print("ran", len(BLOCK.findall(before + after)))
