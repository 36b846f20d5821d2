"""The asyncio scenarios of the bench, under either daffi.

All of it is child side: `callbacks` and `serving` on one side, `calling`, `scaling`, `fairness`,
`floor`, `pace` and `held` on the other, `loops` on both.
"""
