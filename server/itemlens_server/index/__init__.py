"""Candidates for directions, under a mask. Knows nothing of gRPC, the store or encoders."""
