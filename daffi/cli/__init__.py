"""The command line. Nobody but `daffi.__main__` imports it, and it is built on the public names.

| module | holds |
|---|---|
| `commands` | the group of all commands, and how a run begins and ends |
| `router`, `serve`, `call`, `ls`, `top`, `ping`, `bench` | one command each |
| `options` | options that several commands share, made into those of nodes |
| `target` | TARGET of `serve`: importing it, and what of it is offered |
| `serving` | a node from its start to its end: ready, drained, stopped |
| `processes` | several processes, watched over |
| `arguments` | ARGS of `call` as JSON |
| `rates` | two looks at a server's counters made into rates |
| `screen` | tables and colours, or JSON |
| `endings` | exit codes, and errors in one line |
"""
