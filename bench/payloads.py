"""The record that travels in the rows of 2 KB.

Lives here: data that every side sends. Imports nothing of ours.
"""

from typing import Any

RECORD: dict[str, Any] = {
    "id": 81_723,
    "name": "Ada Lovelace",
    "active": True,
    "balance": 1024.75,
    "tags": [f"tag-{number}" for number in range(40)],
    "points": [number * 1.25 for number in range(60)],
    "address": {"street": "St James's Square 12", "city": "London", "zip": None},
    "text": "the engine weaves algebraic patterns " * 25,
}
