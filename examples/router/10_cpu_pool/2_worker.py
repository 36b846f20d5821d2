"""A pool of worker processes for work that keeps a CPU busy.

In the second terminal, on this machine or on others as well:

    python 2_worker.py [port] [processes]

Threads of one Python process share one CPU; processes do not. Each process is a Client with a
name of its own, and the Router deals out the calls. More pools may join at any time.

It prints:

    ready: 2 processes
    stopped
"""

import multiprocessing
import os
import sys

from daffi import Client, callback

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700
PROCESSES = int(sys.argv[2]) if len(sys.argv) > 2 else os.cpu_count() or 2


@callback
def count_primes(start: int, stop: int) -> tuple[int, int]:
    """How many primes there are in [start, stop), and which process counted them."""
    found = 0
    for number in range(max(start, 2), stop):
        divisors = range(2, int(number**0.5) + 1)
        if all(number % divisor for divisor in divisors):
            found += 1
    return found, os.getpid()


def name(number: int) -> str:
    """Unique on the network: this process's pool, and a number within it."""
    return f"cpu-{os.getpid()}-{number}"


def work(own_name: str) -> None:
    """One process: a Client that serves until it is told to stop."""
    worker = Client(own_name, "127.0.0.1", PORT)
    worker.connect(wait=10)
    worker.join()


if __name__ == "__main__":
    # The first of the workers is this process. The others are started with "spawn": a fresh
    # interpreter, which imports this file for its callbacks.
    spawn = multiprocessing.get_context("spawn")
    names = [name(number) for number in range(PROCESSES)]
    others = [spawn.Process(target=work, args=(other,)) for other in names[1:]]
    for process in others:
        process.start()
    try:
        worker = Client(names[0], "127.0.0.1", PORT)
        worker.connect(wait=10).wait_for_members(*names, timeout=60)
        print(f"ready: {PROCESSES} processes", flush=True)
        worker.join()
    finally:
        for process in others:
            process.terminate()  # SIGTERM, on which their join() returns
            process.join()
    print("stopped", flush=True)
