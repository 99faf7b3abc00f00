"""Speed: separate load processes measure a running server, its peers, and ONNX Runtime by itself."""
