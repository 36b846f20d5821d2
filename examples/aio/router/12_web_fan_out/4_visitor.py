"""Asks the web server, as a browser would; knows nothing of daffi.

It needs a package: `pip install httpx`. In the last terminal:

    python 4_visitor.py [port of the web server]

It prints:

    with sea: The Sea Around Us, The Sea Wolf
    letters: 24, worked out by 2 workers
    fifty visitors at once: True
"""

import asyncio
import sys

import httpx

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 8000


async def main() -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{PORT}", trust_env=False) as http:
        found = (await http.get("/search", params={"word": "sea"})).json()
        print("with sea:", ", ".join(found["titles"]))

        counted = (await http.get("/letters", params={"title": found["titles"]})).json()
        print(f"letters: {counted['letters']}, worked out by {len(set(counted['by']))} workers")

        visits = (http.get("/search", params={"word": "on"}) for _ in range(50))
        answers = await asyncio.gather(*visits)
        books = ["On Growth and Form"]
        print("fifty visitors at once:", all(a.json()["titles"] == books for a in answers))


asyncio.run(main())
