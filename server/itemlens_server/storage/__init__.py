"""The durable store: all SQL is here. Knows nothing of gRPC, encoders or indexes."""
