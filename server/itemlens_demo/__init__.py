"""The demonstration: the bundled catalogue on a server of its own, told in the terminal and on a page."""
