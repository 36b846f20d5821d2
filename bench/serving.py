"""The roles that serve: each is a process of its own that stays until the parent ends it.

Lives here: one function per role, named by `bench.stage`. Imports `nodes`, `talk`, and
`callbacks` only inside a role that offers them.
"""

from typing import Any

from bench import nodes, talk


def service(order: dict[str, Any]) -> None:
    """A Service with the bench's callbacks."""
    import bench.callbacks  # noqa: F401 - registers what it serves

    _node = nodes.start_service(order["listen"])
    talk.say(ready=True)
    talk.listen_for_ever()


def router(order: dict[str, Any]) -> None:
    """A Router."""
    _node = nodes.start_router(order["listen"])
    talk.say(ready=True)
    talk.listen_for_ever()


def worker(order: dict[str, Any]) -> None:
    """A Client of the Router, with the bench's callbacks."""
    import bench.callbacks  # noqa: F401 - registers what it serves

    _node = nodes.start_worker(order["name"], order["address"])
    talk.say(ready=True, names=[order["name"]])
    talk.listen_for_ever()
