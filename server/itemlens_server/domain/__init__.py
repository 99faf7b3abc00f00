"""Encode, fuse, recommend, explain and the catalogue, on numpy arrays. Knows nothing of gRPC or protobuf."""
