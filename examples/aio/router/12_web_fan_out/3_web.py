"""A web server whose requests are answered by workers: Starlette, uvicorn, and daffi.

It needs two packages: `pip install starlette uvicorn`. In one more terminal:

    python 3_web.py [port of the Router] [port of its own]

One connection to the Router serves all requests, each of which awaits its own calls.

It prints:

    ready on 127.0.0.1:8000
    stopped
"""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from daffi.aio import AsyncClient
from daffi.exceptions import CallTimeout, TransmissionFailure

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700
WEB_PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8000


async def search(request: Request) -> JSONResponse:
    """A cast: every worker looks through its part. Answers in half a second, come what may."""
    conn = request.state.conn
    try:
        found = await conn.cast(timeout=0.5).search(request.query_params["word"])
    except CallTimeout as error:
        found = error.partial
    except TransmissionFailure:  # no worker is there
        return JSONResponse({"error": "come back later"}, status_code=503)
    titles = [title for part in found.values() if isinstance(part, list) for title in part]
    return JSONResponse({"titles": sorted(titles), "asked": len(found)})


async def letters(request: Request) -> JSONResponse:
    """A gather: one call for each title, dealt out to the workers in turn."""
    call = request.state.conn.rpc(timeout=5)
    titles = request.query_params.getlist("title")
    counted = await asyncio.gather(*(call.count_letters(title) for title in titles))
    return JSONResponse({"letters": sum(n for _, n in counted), "by": [by for by, _ in counted]})


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
    """The connection is made when the web server starts, on its loop, and closed when it ends."""
    async with AsyncClient("web", "127.0.0.1", PORT) as conn:
        print("ready on {}:{}".format(*listener.getsockname()), flush=True)
        yield {"conn": conn}


app = Starlette(routes=[Route("/search", search), Route("/letters", letters)], lifespan=lifespan)

if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", WEB_PORT))
    # uvicorn ends in good order on SIGINT and SIGTERM, and then sends itself the same signal.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    print("stopped", flush=True)
