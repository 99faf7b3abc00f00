"""The use cases, on dataclasses and numpy arrays. Knows nothing of gRPC or protobuf."""
