"""A Service for `cast`: a call whose answer says who gave it.

In the first terminal:

    python 1_service.py [port] [name]

It prints:

    ready on 127.0.0.1:7700
    refreshing eu
    stopped
"""

import sys

from daffi import Service, callback

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700
NAME = sys.argv[2] if len(sys.argv) > 2 else "weather"


@callback
def temperature(city: str) -> float:
    """Degrees Celsius."""
    return {"Oslo": 4.5, "Rome": 18.0}[city]


@callback
def refresh(region: str) -> None:
    """Write a line on this terminal."""
    print(f"refreshing {region}", flush=True)


if __name__ == "__main__":
    service = Service(NAME, "127.0.0.1", PORT)
    service.start()
    print(f"ready on {service.host}:{service.port}", flush=True)
    service.join()
    print("stopped", flush=True)
