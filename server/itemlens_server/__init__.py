"""The itemlens gRPC server: encode, fuse, recommend and explain catalogue items."""
