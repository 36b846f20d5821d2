"""The bench: this daffi and daffi 3.0.1 under the same scenarios, and the soak.

Two kinds of module live here. The *parent* side plans, starts processes and reports:
`__main__`, `rows`, `stage`, `children`, `peer`, `machine`, `figures`, `report`. The *child*
side runs under either interpreter and either daffi: `child`, `talk`, `nodes`, `callbacks`,
`serving`, `calling`, `floor`, and all of `bench.aio`. The parent side never imports daffi, the
child side never imports rich. `bench.soak` is a second program that shares `children` and
`child`.
"""
