"""What runs inside a peer's own environment. A module here may import only its peer's packages and its neighbours.

They start as `python -m servers.NAME` with the parent folder on the path. Nothing else of this project is importable.
"""
