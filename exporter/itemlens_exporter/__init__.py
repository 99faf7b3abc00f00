"""Checkpoints -> a space of ONNX graphs that itemlens serves."""
