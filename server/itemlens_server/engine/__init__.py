"""ONNX Runtime sessions, the model repository and the batcher. Does not depend on gRPC or the catalogue."""
