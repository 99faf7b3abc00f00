"""gRPC: decode a message, call a use case, encode its result. Each group of RPCs has its own module."""
