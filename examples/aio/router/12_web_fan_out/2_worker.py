"""A worker behind the web server: blocking code, in a process of its own.

In more terminals:

    python 2_worker.py [port] [name]

Each holds a part of the books. Worlds mix freely: this is a blocking Client, which an asyncio
program calls through an asyncio Router.

It prints:

    ready: ...
    stopped
"""

import sys

from daffi import Client, callback

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7700
NAME = sys.argv[2] if len(sys.argv) > 2 else "fiction"

BOOKS = {
    "fiction": ["The Sea Wolf", "Middlemarch", "Moby-Dick"],
    "science": ["The Sea Around Us", "Relativity", "On Growth and Form"],
}[NAME]


@callback
def search(word: str) -> list[str]:
    """The books of this part that have the word in their title."""
    return [title for title in BOOKS if word.lower() in title.lower()]


@callback
def count_letters(title: str) -> tuple[str, int]:
    """Work that any of the workers can do, and who did it."""
    return NAME, sum(letter.isalpha() for letter in title)


if __name__ == "__main__":
    worker = Client(NAME, "127.0.0.1", PORT)
    worker.connect(wait=10)
    print(f"ready: {NAME}", flush=True)
    worker.join()
    print("stopped", flush=True)
