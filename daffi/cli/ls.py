"""`daffi ls`. Imports `options` and `screen`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from daffi import Client
from daffi.cli import options, screen

if TYPE_CHECKING:
    from rich.text import Text

    from daffi.node import Member


@click.command(
    epilog="""\b
Examples:
  daffi ls
  daffi ls tcp://127.0.0.1:7700
  daffi ls --json --unix /run/daffi.sock
"""
)
@options.client(argument=True)
@options.as_json
def ls(client: dict[str, Any], as_json: bool) -> None:
    """List who is connected, and what functions they offer."""
    node = Client(**client, reconnect=False)
    with node as conn:
        members = [member for member in conn.members() if member.name != node.app_name]
        server = node.server_name()
    if as_json:
        screen.show_json({"server": server, "members": [_plain(member) for member in members]})
    else:
        _show(str(server), members)


def _plain(member: Member) -> dict[str, Any]:
    functions = [
        {"name": str(function), "signature": function.signature, "summary": function.summary}
        for function in member.functions
    ]
    return {"name": member.name, "functions": functions}


def _show(server: str, members: list[Member]) -> None:
    """Each list of functions once, under the names of all who offer it."""
    from rich.text import Text

    console = screen.console()
    groups: dict[tuple[tuple[str, str, str], ...], list[str]] = {}
    for member in members:
        functions = tuple((str(f), f.signature, f.summary) for f in member.functions)
        groups.setdefault(functions, []).append(member.name)
    if server not in (member.name for member in members):
        console.print(_heading(server, "Router"))
    for functions, names in groups.items():
        kind = "Service" if server in names else "" if functions else "offers nothing"
        console.print(_heading(", ".join(names), kind))
        beside = max(
            (len(name + signature) for name, signature, said in functions if said), default=0
        )
        for name, signature, summary in functions:
            said = Text.assemble("  ", (name, "cyan"), signature)
            said.pad_right(beside + 4 - len(name) - len(signature) if summary else 0)
            if said.cell_len + len(summary) > console.width:
                said = Text.assemble("  ", (name, "cyan"), signature, "\n" if summary else "")
                said.append("      " if summary else "")
            console.print(said.append(summary, "dim"), soft_wrap=not console.is_terminal)
    if not any(groups):
        console.print(Text("nobody offers a function", "dim"))


def _heading(names: str, kind: str) -> Text:
    from rich.text import Text

    return Text.assemble((names, "bold"), (f" ({kind})" if kind else "", "dim"))
