"""The durable store, with all SQL. Does not depend on gRPC, encoders or indexes."""
