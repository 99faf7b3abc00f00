"""How fast: load from processes of its own against a running server, its peers, and ONNX Runtime by itself."""
