"""`daffi` and `python -m daffi`: the door to the command line, which is an extra.

Only what is needed to say what is missing may live here. Imports `cli`, once its packages are
there.
"""

from __future__ import annotations

import sys
from importlib import import_module


def main() -> None:
    """Run the command line, and end with its exit code."""
    try:
        for needed in ("click", "rich", "watchfiles"):
            import_module(needed)
    except ModuleNotFoundError as error:
        said = f"daffi: {error.name} is missing: pip install 'daffi[cli]' brings the command line"
        sys.exit(said)
    from daffi.cli import commands

    sys.exit(commands.run(sys.argv[1:]))


if __name__ == "__main__":
    main()
