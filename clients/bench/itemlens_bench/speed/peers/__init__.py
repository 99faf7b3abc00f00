"""Other ways to serve the same text encoder, each with the best set-up that it documents, to be measured beside ours.

All serve all-MiniLM-L6-v2 in fp32 with mean pooling. Those that normalise give the same vectors up to their length.
"""

from itemlens_bench.speed.peers.known import PEERS, Peer, WrongModel, peers

__all__ = ["PEERS", "Peer", "WrongModel", "peers"]
