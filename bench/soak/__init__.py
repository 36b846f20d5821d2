"""The soak: mixed calls at full speed for a given time, and whether anything grows.

`__main__` starts a Router, two workers, a Service and two callers as processes and asks them
for samples; `verdict` judges these. The rest runs in the children: `serving` and
`callbacks` on one side, `calling`, `lanes`, `calls` and `gate` on the other, `sampling` on
both. `aio` has the same roles for asyncio. Only the children import daffi.
"""
