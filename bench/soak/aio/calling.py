"""The soak's asyncio role that calls: one process, one loop, two connections, many lanes.

Lives here: the callback that workers call back, starting the lanes, and answering the parent
from a thread. Imports `lanes`, `gate`, `loops`, `sampling`, `talk` and daffi.
"""

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from bench import talk
from bench.aio import loops
from bench.soak.aio import lanes
from bench.soak.aio.gate import Gate
from bench.soak.calls import Lane
from bench.soak.sampling import answer_for_ever, sample
from daffi import callback
from daffi.aio import AsyncClient

HOLD = 60.0


@callback
async def come_back(token: str) -> str:
    """What a worker calls while it serves us."""
    return token


def caller(order: dict[str, Any]) -> None:
    """Call until the parent ends us."""
    loops.run(order, _caller)


async def _caller(order: dict[str, Any]) -> None:
    name, workers = order["name"], order["workers"]
    direct_client = AsyncClient(f"{name}-direct", **order["direct"], expose=())
    routed_client = AsyncClient(f"{name}-routed", **order["routed"])
    direct, routed = await direct_client.connect(), await routed_client.connect()
    await routed.wait_for_members(*workers, timeout=30)
    await _fill(order, direct, routed)

    crew = [
        Lane(f"{name}-{n}", direct, routed, workers, random.Random(f"{order['seed']} {name} {n}"))
        for n in range(order["lanes"] + 1)
    ]
    gate = Gate(len(crew))
    loop = asyncio.get_running_loop()

    def ask(question: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(question, loop).result()

    async def look() -> dict[str, Any]:
        done: Counter[str] = Counter()
        for lane in crew:
            done.update(lane.tally.done)
        facts = sample({"direct": direct_client, "routed": routed_client})
        return facts | {"done": done, "problems": [p for lane in crew for p in lane.tally.problems]}

    def resume() -> dict[str, Any]:
        ask(gate.release())
        return {"resumed": True}

    answers = {
        "sample": lambda: ask(look()),
        "resume": resume,
        "pause": lambda: {"paused": ask(gate.hold(HOLD))},
    }
    threading.Thread(target=answer_for_ever, args=(answers,), daemon=True).start()
    talk.say(ready=True)
    visiting = lanes.closing(crew[0], gate, [order["direct"], order["routed"]])
    await asyncio.gather(visiting, *(lanes.mixed(lane, gate) for lane in crew[1:]))


async def _fill(order: dict[str, Any], direct: Any, routed: Any) -> None:
    """Have every callback thread started, so that a thread more later is a leak."""
    targets = [(direct, None), *((routed, worker) for worker in order["workers"])]
    for conn, receiver in targets:
        proxy = conn.rpc(timeout=30, receiver=receiver)
        await asyncio.gather(*(proxy.pause(0.3) for _ in range(order["pool"])))
