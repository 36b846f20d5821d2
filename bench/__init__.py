"""The bench: this daffi and daffi 3.0.1 under the same scenarios, others beside, and the soak.

Three kinds of module live here. The *parent* side plans, starts processes and reports:
`__main__`, `row`, `rows`, `curves`, `contest`, `stage`, `children`, `environments`, `machine`,
`figures`, `report`, `saved`, `comparing`. The *child* side runs under any interpreter and
either daffi: `child`, `talk`, `cost`, `pace`, `payloads`, `nodes`, `callbacks`, `serving`,
`calling`, `floor`, and all of `bench.aio`; and `bench.peers` under the interpreter of the other
libraries. The parent side never imports daffi, the child side never imports rich. `pages` and
`plots` write the documentation's part. `bench.soak` is a second program that shares `children`,
`child` and `saved`.
"""
