"""ONNX Runtime sessions, the model repository and the batcher. Knows nothing of gRPC or the catalogue."""
