"""gRPC: decode a message, call a use case, encode its result. One module a group of RPCs."""
