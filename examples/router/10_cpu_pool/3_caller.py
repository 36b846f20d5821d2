"""Spreads work over the pool, with one thread for each call that is under way.

In the third terminal:

    python 3_caller.py [port]

The threads only wait: the work is done elsewhere. They share one connection.

It prints:

    primes below 100000: 9592
    processes that helped: 2
    pieces of each: 8, 8
"""

import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from daffi import Client

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700
LIMIT = 100_000
PIECES = 16
STEP = LIMIT // PIECES

with Client("mathematician", "127.0.0.1", PORT) as conn:
    conn.wait_for_function("count_primes", timeout=60)
    call = conn.rpc(timeout=60)

    with ThreadPoolExecutor(PIECES) as threads:
        starts = range(0, LIMIT, STEP)
        answers = list(threads.map(lambda start: call.count_primes(start, start + STEP), starts))

    print(f"primes below {LIMIT}:", sum(found for found, _ in answers))
    shares = Counter(process for _, process in answers)
    print("processes that helped:", len(shares))
    print("pieces of each:", ", ".join(str(share) for share in shares.values()))
