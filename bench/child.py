"""The entry of every child process: `python bench/child.py ORDER`, ORDER being JSON.

Lives here: what has to happen before anything else is imported, which is the search path
and the CPU. Imports nothing of ours at the top: the search path is not right yet.

The checkout goes to the *end* of the search path. A daffi that is installed in the
interpreter is found first, so the same files drive whichever daffi that is; the checkout's
own `daffi` is only found where none is installed.
"""

import importlib
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any


def place_path() -> None:
    """Make `bench` importable without hiding an installed daffi."""
    here = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != here]
    sys.path.append(str(here.parent))


def raise_file_limit() -> None:
    """Allow as many descriptors as the system lets us have."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))


def main() -> None:
    """Run the role that the order names, `module:function`, with the order itself."""
    order: dict[str, Any] = json.loads(sys.argv[1])
    place_path()
    if order.get("cpus"):
        os.sched_setaffinity(0, order["cpus"])
    raise_file_limit()

    from bench import talk

    talk.open_line()
    module, _, function = order["role"].partition(":")
    try:
        getattr(importlib.import_module(module), function)(order)
    except BaseException as error:
        traceback.print_exc()
        talk.say(error=f"{type(error).__name__}: {error}"[:500])
    talk.listen_for_ever()


if __name__ == "__main__":
    main()
