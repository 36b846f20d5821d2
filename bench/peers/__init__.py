"""The other libraries: each used as its own documentation recommends.

All of it is child side, and runs in an environment of its own. A module serves and calls with
one library: `serve(order)` stays until the parent ends it, `connect(order)` gives what calls,
`broker(order)` stands between the two where the library has such a thing, and `VERSION` says
which it is. `calling` has the scenarios, the same for all. No module here imports daffi.
"""
