"""The modality of the caller's own vectors: what another model, such as a two-tower model, says of items."""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from itemlens_server.engine.batcher import Counts
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.encoder import Array, Encoded, Encoder, Modality, Runtime
from itemlens_server.engine.manifest import EncoderSpec, Precision, Purpose
from itemlens_server.engine.pending import Pending
from itemlens_server.engine.prepared import Layout, Prepared
from itemlens_server.errors import InvalidArgument, quoted
from itemlens_server.fusion.parts import Part, Places

VECTOR = "VECTOR"
# Cosine of a sampled query to its item: another model's or person's vector never equals it.
QUERY_COSINE = 0.6
_VERSION_BYTES = 4


@dataclass(frozen=True, slots=True)
class VersionedVector:
    """A vector as the caller sent it. version: what made it. data: packed little-endian float32."""

    version: str
    data: bytes

    def pack(self) -> bytes:
        """Return both as bytes, which is the form that is stored."""
        version = self.version.encode()
        return len(version).to_bytes(_VERSION_BYTES, "little") + version + self.data

    @staticmethod
    def unpack(packed: bytes) -> VersionedVector:
        """Return the vector of `pack`."""
        end = _VERSION_BYTES + int.from_bytes(packed[:_VERSION_BYTES], "little")
        return VersionedVector(packed[_VERSION_BYTES:end].decode(), packed[end:])


@dataclass(frozen=True, slots=True)
class WholeLayout(Layout):
    """z has one row, whose place is the whole vector: nobody here knows what it was made of."""

    def places(self) -> Places:
        return Places((Part(VECTOR),), np.zeros(1, np.int64))


class ExternalEncoder(Encoder[bytes, Array]):
    """Takes packed `VersionedVector`s. v float32 [dim] is the vector at length 1, so that means and directions of a fit
    do not depend on lengths; z float32 [1, dim] is v. Both are there at once."""

    plan = None
    max_queue_tokens = 0

    def __init__(
        self, modality: Modality, directory: Path, spec: EncoderSpec, precision: Precision, runtime: Runtime
    ) -> None:
        super().__init__(modality, spec, precision, "")
        assert spec.external is not None
        self._version = spec.external.version
        self._inputs = 0

    def prepare(
        self, value: bytes, purpose: Purpose, keep: bool = False, call: CallContext | None = None
    ) -> Prepared[Array]:
        """Check a vector, and return it at length 1, float32 [dim].

        Raises:
            InvalidArgument: it is of another version or dimension, not finite, or 0.
        """
        given = VersionedVector.unpack(value)
        if given.version != self._version:
            raise InvalidArgument(
                f"the vector is of version {quoted(given.version)}, the channel takes version "
                f"{quoted(self._version)}; vectors of two versions cannot be compared", "vector.version",
            )  # fmt: skip
        if len(given.data) != 4 * self.spec.dim:
            raise InvalidArgument(
                f"the vector has {len(given.data)} bytes, the channel takes {self.spec.dim} numbers of 4 bytes each",
                "vector.data",
            )
        v = np.frombuffer(given.data, "<f4").astype(np.float64)
        if not np.isfinite(v).all():
            raise InvalidArgument("the vector contains NaN or infinity", "vector.data")
        if not v.any():
            raise InvalidArgument(
                "the vector is 0 and has no direction; leave it out of an item without one", "vector.data"
            )
        v /= np.linalg.norm(v)
        return Prepared(v.astype(np.float32), WholeLayout(), value if keep else b"")

    def submit(
        self,
        inputs: Sequence[Array],
        with_places: bool,
        call: CallContext,
        keys: Sequence[Hashable | None] = (),
    ) -> Pending[Encoded]:
        pending: Pending[Encoded] = Pending(len(inputs), call)
        for n, v in enumerate(inputs):
            pending.put(n, Encoded(v, v[None] if with_places else None))
        self._inputs += len(inputs)
        return pending

    def check_admission(self, call: CallContext, inputs: int) -> None:
        pass

    def counts(self) -> Counts:
        return Counts(inputs=self._inputs)

    def waiting_tokens(self) -> int:
        return 0

    def close(self) -> None:
        pass


def _sample_query(rng: random.Random, stored: bytes) -> bytes:
    """Return a vector in a random direction whose cosine to the stored one is QUERY_COSINE."""
    given = VersionedVector.unpack(stored)
    v = np.frombuffer(given.data, "<f4").astype(np.float64)
    v /= np.linalg.norm(v)
    away = np.random.default_rng(rng.getrandbits(64)).standard_normal(len(v))
    away -= (away @ v) * v
    norm = float(np.linalg.norm(away))
    if norm > 0:  # 0: a vector of one number has no other direction
        v = QUERY_COSINE * v + np.sqrt(1 - QUERY_COSINE**2) * away / norm
    return VersionedVector(given.version, v.astype("<f4").tobytes()).pack()


EXTERNAL = Modality(
    kind="EXTERNAL",
    field="vector",
    plural="vectors",
    encoder=ExternalEncoder,
    several=False,
    in_document=False,
    quick=True,
    by_purpose=False,
    cached=False,
    place=VECTOR,
    fits={"en": "it is close by the shop's own measure", "zh": "按商家自己的度量也与之相近"},
    sample_query=_sample_query,
    search_nats=1.5,
)
