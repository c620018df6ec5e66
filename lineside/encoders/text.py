"""Sentence encoder: texts to L2-normalised vectors by mean pooling (Reimers and Gurevych 2019, Sentence-BERT)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lineside.encoders.batches import length_batches, unit_rows
from lineside.encoders.graphs import Compiled
from lineside.encoders.joint import JointEncoder
from lineside.encoders.settings import Runtime

TokenBatch = tuple[list[int], NDArray[np.int64], NDArray[np.int64]]


class TextEncoder(ABC):
    """A transformer whose token states are averaged over the text's tokens.

    Attributes:
        dimension: length of a vector.
        max_tokens: longer texts are cut to this many tokens, special tokens included.
        fingerprint: changes whenever the vectors may change.
    """

    def __init__(
        self, *, dimension: int, max_tokens: int, fingerprint: str, pad_token: int, runtime: Runtime = Runtime()
    ) -> None:
        self.dimension = dimension
        self.max_tokens = max_tokens
        self.fingerprint = fingerprint
        self.runtime = runtime
        self._pad_token = pad_token

    @property
    @abstractmethod
    def _run(self) -> Compiled:
        """Token ids and mask, both `(b, t) int64` → means of the token states `(b, dimension)`, perhaps more."""

    @abstractmethod
    def _cut_tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids, special ones included, at most `max_tokens` of them."""

    @abstractmethod
    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special tokens left out, not cut."""

    @abstractmethod
    def both_heads(self, joint: JointEncoder) -> Callable[[], Compiled] | None:
        """Where the joint encoder's text tower is this encoder with a head of its own: what compiles both in one.

        It takes what `_run` takes and gives text and joint rows, not yet of length 1. None where it is another tower,
        or one in another precision.
        """

    def encode(self, texts: Sequence[str], *, pad_multiple: int = 0) -> NDArray[np.float32]:
        """`n` texts → `(n, dimension) float32`, every row of length 1, in the order of the texts.

        With `pad_multiple` a vector has the same bits in whatever batch its text stands (`length_batches`).
        """
        rows = np.empty((len(texts), self.dimension), np.float32)
        for places, ids, mask in self.token_batches(texts, pad_multiple=pad_multiple):
            rows[places] = unit_rows(self._run(ids, mask)[0])
        return rows

    def token_batches(self, texts: Sequence[str], *, pad_multiple: int = 0) -> Iterator[TokenBatch]:
        """Batches of similar length: places in `texts`, token ids and mask, both `(b, t) int64`."""
        if not texts:
            return
        encoded = self._cut_tokens(texts)
        lengths = [len(tokens) for tokens in encoded]
        for places, width in length_batches(lengths, self.runtime.max_batch, pad_multiple, self.max_tokens):
            ids = np.full((len(places), width), self._pad_token, np.int64)
            mask = np.zeros_like(ids)
            for row, place in enumerate(places):
                tokens = encoded[place]
                ids[row, : len(tokens)] = tokens
                mask[row, : len(tokens)] = 1
            yield places, ids, mask
