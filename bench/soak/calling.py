"""The soak's role that calls: one process, two connections, many lanes.

Lives here: the callback that workers call back, starting the lanes, and answering the parent.
Imports `lanes`, `gate`, `sampling`, `talk` and daffi.
"""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench import talk
from bench.soak import lanes
from bench.soak.calls import Lane
from bench.soak.gate import Gate
from bench.soak.sampling import answer_for_ever, sample
from daffi import Client, callback

HOLD = 60.0


@callback
def come_back(token: str) -> str:
    """What a worker calls while it serves us."""
    return token


def caller(order: dict[str, Any]) -> None:
    """Call until the parent ends us."""
    name, threads, workers = order["name"], order["lanes"], order["workers"]
    direct_client = Client(f"{name}-direct", **order["direct"], expose=())
    routed_client = Client(f"{name}-routed", **order["routed"])
    direct, routed = direct_client.connect(), routed_client.connect()
    routed.wait_for_members(*workers, timeout=30)
    _fill(order, direct, routed)

    gate = Gate()
    crew = [
        Lane(f"{name}-{n}", direct, routed, workers, random.Random(f"{order['seed']} {name} {n}"))
        for n in range(threads + 2)
    ]
    for _ in crew:
        gate.join()
    for lane in crew[2:]:
        threading.Thread(target=lanes.mixed, args=(lane, gate), daemon=True).start()
    addresses = [order["direct"], order["routed"]]
    visiting = threading.Thread(target=lanes.closing, args=(crew[1], gate, addresses), daemon=True)
    visiting.start()

    def look() -> dict[str, Any]:
        done: Counter[str] = Counter()
        for lane in crew:
            done.update(dict(lane.tally.done))
        facts = sample({"direct": direct_client, "routed": routed_client})
        return facts | {"done": done, "problems": [p for lane in crew for p in lane.tally.problems]}

    def resume() -> dict[str, Any]:
        gate.release()
        return {"resumed": True}

    answers = {"sample": look, "resume": resume, "pause": lambda: {"paused": gate.hold(HOLD)}}
    threading.Thread(target=answer_for_ever, args=(answers,), daemon=True).start()
    talk.say(ready=True)
    lanes.interrupted(crew[0], gate, crew)


def _fill(order: dict[str, Any], direct: Any, routed: Any) -> None:
    """Have every callback thread started, so that a thread more later is a leak."""
    targets = [(direct, None), *((routed, worker) for worker in order["workers"])]
    crowd = order["pool"]
    with ThreadPoolExecutor(crowd) as pool:
        for conn, receiver in targets:
            proxy = conn.rpc(timeout=30, receiver=receiver)
            for each in [pool.submit(proxy.pause, 0.3) for _ in range(crowd)]:
                each.result()
