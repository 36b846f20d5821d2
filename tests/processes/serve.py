"""A router, a service or a worker as a process of its own.

    serve.py router|service [--url URL] [--name NAME] [--options JSON] [--join]
    serve.py worker --url URL [--name NAME] [--workers N] [--join]

Prints `ready URL`. Ends when its input does, or, with `--join`, when `join()` returns; then
prints `peak BYTES` and `left`. Offers everything in `offered` and `telling`.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import offered  # noqa: F401 - registers
from memory import peak
from telling import say, say_in_join

from daffi import Client, Router, Service


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["router", "service", "worker"])
    parser.add_argument("--url", default="tcp://127.0.0.1:0")
    parser.add_argument("--name")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--options", type=json.loads, default={})
    parser.add_argument("--join", action="store_true")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    name, url = args.name or args.role, args.url
    node: Any
    if args.role == "worker":
        node = Client(name, url=url, workers=args.workers)
        node.connect(wait=20)
    else:
        if args.role == "router":
            node = Router(name, url=url, **args.options)
        else:
            node = Service(name, url=url, workers=args.workers, **args.options)
        node.start()
        if url.startswith("tcp:"):
            url = f"tcp://127.0.0.1:{node.port}"
    if args.join:
        say_in_join("ready", url)
        node.join()
    else:
        say("ready", url)
        sys.stdin.read()
        node.stop()
    say("peak", peak())
    say("left")


if __name__ == "__main__":
    main()
