"""The durable store and the indexes over it. Knows nothing of gRPC, encoders or sessions."""
