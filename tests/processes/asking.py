"""A client that makes the calls that its input asks for.

    asking.py OPTIONS

`OPTIONS` is JSON: what the Client takes. Prints `ready`; then, for each line of JSON with
`style`, `serde`, `function` and `args`, one with `result` or with `error` and `text`. Offers
everything in `offered` if its name is `worker`. Ends with its input.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import offered  # noqa: F401 - registers
from telling import say

from daffi import Client


def outcome(conn: Any, style: str, serde: str, function: str, args: list[Any]) -> dict[str, Any]:
    options: dict[str, Any] = {} if style.endswith("nowait") else {"timeout": 10}
    try:
        result = getattr(getattr(conn, style)(serde=serde, **options), function)(*args)
    except Exception as error:
        return {"error": type(error).__name__, "text": str(error)}
    if isinstance(result, dict):  # of a cast
        result = {
            name: type(value).__name__ if isinstance(value, Exception) else value
            for name, value in result.items()
        }
    return {"result": result}


def main() -> None:
    options = json.loads(sys.argv[1])
    expose = None if options["app_name"] == "worker" else ()
    with Client(expose=expose, **options) as conn:
        say("ready")
        for line in sys.stdin:
            say(json.dumps(outcome(conn, **json.loads(line))))


main()
