"""Generated from protos/itemlens/v1 by protos/generate.sh."""
