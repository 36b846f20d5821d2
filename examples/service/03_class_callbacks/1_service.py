"""Whole classes, bound methods, other names, and what stays private.

In the first terminal:

    python 1_service.py [port]

`@callback` on a class makes one object of it, with no arguments, and offers all its public
methods: inherited, static and class methods too. An object that needs arguments is made by
hand, and its methods are registered one by one.

It prints:

    ready on 127.0.0.1:7700
    offers: area, deposit, keys, limits, read, total, write
    stopped
"""

import sys

from daffi import Service, alias, callback, local

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700


class Store:
    """A plain class that knows nothing of daffi."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def read(self, key: str) -> str:
        return self._values[key]

    def write(self, key: str, value: str) -> None:
        self._values[key] = value


@callback
class Shelf(Store):
    """`read` and `write` are inherited; the object lives as long as the process."""

    def keys(self) -> list[str]:
        return self._sorted()

    @staticmethod
    def limits() -> dict[str, int]:
        return {"keys": 1000}

    @local
    def clear(self) -> None:
        """Public in Python, not offered to the network."""
        self._values.clear()

    def _sorted(self) -> list[str]:
        """Names that begin with `_` are never offered."""
        return sorted(self._values)


class Account:
    """Can't be built without arguments, so it is not decorated."""

    def __init__(self, balance: int) -> None:
        self.balance = balance

    def deposit(self, amount: int) -> int:
        self.balance += amount
        return self.balance

    def total(self) -> int:
        return self.balance


account = Account(balance=100)
callback(account.deposit)
callback(account.total)


@callback
@alias("area")
def area_of_rectangle(width: float, height: float) -> float:
    """Offered as `area`."""
    return width * height


@callback
def secret() -> str:
    """Registered, but left out of `expose` below: this node does not offer it."""
    return "never seen"


if __name__ == "__main__":
    # `expose` narrows what this node offers; left out, it is everything that is registered.
    names = ["keys", "limits", "read", "write", "deposit", "total", "area"]
    service = Service("things", "127.0.0.1", PORT, expose=names)
    service.start()
    print(f"ready on {service.host}:{service.port}", flush=True)
    print("offers:", ", ".join(sorted(names)), flush=True)
    service.join()
    print("stopped", flush=True)
