"""The `ratchet` command: what people and scripts do at a shell.

Each command stands beside its parameters in the module of its group; `app` puts them together. Views are pure
functions to `render` blocks, which become colours in a terminal and plain text in a pipe.
"""
