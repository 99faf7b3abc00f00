"""Peers: other ways to serve the same text encoder, each with the best set-up that it documents.

All serve all-MiniLM-L6-v2 in fp32 with mean pooling. Those that normalise return the same vectors except for the
length.
"""

from itemlens_bench.speed.peers.known import PEERS, Peer, WrongModel, peers

__all__ = ["PEERS", "Peer", "WrongModel", "peers"]
