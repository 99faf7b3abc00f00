"""What live behaviour costs and how soon it counts, over gRPC. Run `python -m itemlens_bench.speed.events --help`."""
