"""What runs inside a peer's own environment. A module here may import only its peer's packages and its neighbours.

They are started as `python -m servers.NAME` with the folder above on the path: nothing else of this project is there.
"""
