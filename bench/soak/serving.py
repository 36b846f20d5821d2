"""The soak's roles that serve: a Router, a worker, a Service.

Lives here: making the node, and answering the parent. Imports `sampling`, `talk`, and
`callbacks` only inside a role that offers them.
"""

from typing import Any

from bench import talk
from bench.soak.sampling import Node, answer_for_ever, sample
from daffi import Client, Router, Service


def _serve(node: Node) -> None:
    talk.say(ready=True)
    answer_for_ever({"sample": lambda: sample({"node": node})})


def router(order: dict[str, Any]) -> None:
    """The Router."""
    node = Router("router", **order["address"])
    node.start()
    _serve(node)


def service(order: dict[str, Any]) -> None:
    """The Service."""
    import bench.soak.callbacks  # noqa: F401 - registers what it serves

    node = Service("service", **order["address"], workers=order["workers"])
    node.start()
    _serve(node)


def worker(order: dict[str, Any]) -> None:
    """A worker of the Router, which also calls."""
    import bench.soak.callbacks

    node = Client(order["name"], **order["address"], workers=order["workers"])
    bench.soak.callbacks.outward = node.connect()
    _serve(node)
