"""The demo: it serves the bundled catalogue and shows the answers in the terminal and on a page."""
