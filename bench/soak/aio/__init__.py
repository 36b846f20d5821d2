"""The soak's asyncio mix: the same calls and shares as the blocking one, from tasks.

All of it is child side: `serving` and `callbacks` on one side, `calling`, `lanes`, `calls` and
`gate` on the other.
"""
