"""A caller of the demo: `python caller.py PORT ACT`, where ACT is a function below.

Each act makes its calls and says what happened, one JSON object a line: {"step": n} when
there was progress, and at the end {"result": {...}}. Ends when its standard input does.
"""

import hashlib
import json
import os
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from daffi import Client
from daffi.exceptions import Disconnected, RemoteCallError

PORT, ACT = int(sys.argv[1]), sys.argv[2]
MiB = 1024 * 1024


def stop_with_parent() -> None:
    """The read returns when whoever started this is gone: nobody would hear the result."""
    os.read(0, 1)
    os._exit(1)


threading.Thread(target=stop_with_parent, daemon=True).start()
client = Client(None, "127.0.0.1", PORT)
conn = client.connect(wait=10)


def tell(**facts: object) -> None:
    """Say something to the demo."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def ten() -> dict[str, object]:
    """Ten calls; who runs them is decided by the Router."""
    call = conn.rpc(timeout=10)
    return dict(Counter(call.who() for _ in range(10)))


def everybody() -> dict[str, object]:
    """One cast."""
    return dict(conn.cast(timeout=10).pid())


def stream() -> dict[str, object]:
    """2,000 chunks of 4 KiB from a generator, each acknowledged before the next is made."""
    sent = hashlib.sha256()

    def chunks() -> Iterator[bytes]:
        for number in range(2000):
            chunk = os.urandom(4096)
            sent.update(chunk)
            yield chunk
            if number % 100 == 99:
                tell(step=100)

    began = time.perf_counter()
    conn.stream(timeout=10, receiver="worker-1").upload(chunks())
    seconds = time.perf_counter() - began
    same = conn.rpc(timeout=10, receiver="worker-1").uploaded() == sent.hexdigest()
    return {"same": same, "rate": 2000 / seconds}


def failure() -> dict[str, object]:
    """A callback that raises; caught here by the class that it raised there."""
    try:
        conn.rpc(timeout=10).book({"amount": "three"})
    except ValueError as error:
        text = "".join(traceback.format_exception(error))
        known = isinstance(error, RemoteCallError)
        return {"type": "ValueError", "text": text, "remote": known}
    return {"type": "nothing"}


def work() -> dict[str, object]:
    """150 pieces on 8 threads, whatever becomes of the workers."""
    call = conn.rpc(timeout=20)
    did: Counter[str] = Counter()
    again = 0
    lock = threading.Lock()

    def do(number: int) -> None:
        nonlocal again
        if number >= 120:  # the rest is left until the replacement is there
            conn.wait_for_members("worker-4", timeout=20)
        while True:
            try:
                name = call.piece(0.04)
            except Disconnected:  # the worker died, and may have run it: this piece may run twice
                with lock:
                    again += 1
            else:
                break
        with lock:
            did[name] += 1
            tell(step=1)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(do, range(150)))
    return {"done": sum(did.values()), "again": again, "by": dict(did)}


def rate() -> dict[str, object]:
    """As many small calls as 16 threads can make on one connection in three seconds."""
    counts = [0] * 16
    began = last = time.perf_counter()
    end = began + 3

    def run(slot: int) -> None:
        call = conn.rpc(timeout=10)
        while time.perf_counter() < end:
            assert call.add(slot, 1) == slot + 1
            counts[slot] += 1

    with ThreadPoolExecutor(16) as threads:
        runs = [threads.submit(run, slot) for slot in range(16)]
        while time.perf_counter() < end:
            time.sleep(0.1)
            now = time.perf_counter()
            tell(step=now - last, note=f"{sum(counts) / (now - began):,.0f} calls/s")
            last = now
        for each in runs:
            each.result()
        seconds = time.perf_counter() - began
    return {"calls": sum(counts), "seconds": seconds}


def large() -> dict[str, object]:
    """256 MiB of random bytes to a worker and back."""
    data = os.urandom(MiB) * 256
    began = time.perf_counter()
    back = conn.rpc(timeout=20, serde="opaque").echo(data)
    seconds = time.perf_counter() - began
    return {"same": back == data, "seconds": seconds}


acts = {act.__name__: act for act in (ten, everybody, stream, failure, work, rate, large)}
tell(result=acts[ACT]())
client.stop()
