"""The benchmark harness: speed and quality of a running server."""
