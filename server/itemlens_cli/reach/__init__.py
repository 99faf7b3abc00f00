"""`itemlens doctor --target`: why calls from this machine to a server do not work, or are slow.

It checks what a call needs, in order: `connection` the address, `port` the protocol, `certificate` TLS, `calls` the
server's answers, and `contract` whether both sides know the same calls. `checks` puts them together. Nothing here
changes anything on the server.
"""
