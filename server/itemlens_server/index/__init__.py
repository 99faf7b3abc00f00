"""Search for candidates by direction, with a mask. Does not depend on gRPC, the store or encoders."""
