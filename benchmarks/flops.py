"""Analytic operation counts of the encoders: a multiplication and an addition are two operations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Product:
    """`count` matrix products (m, k) x (k, n)."""

    m: int
    k: int
    n: int
    count: int

    @property
    def flop(self) -> int:
        return 2 * self.m * self.k * self.n * self.count


@dataclass(frozen=True, slots=True)
class Tower:
    """A transformer encoder on sequences of `tokens`: `layers` of width `hidden` with a `feed_forward` inside.

    `patch_inputs`: values of a patch (channels x side x side) of a vision tower, 0 for text; `projection`: width of
    the joint space, 0 without one. Softmax, norms and activations are left out: under 2 % of the operations.
    """

    layers: int
    hidden: int
    feed_forward: int
    heads: int
    tokens: int
    patch_inputs: int = 0
    projection: int = 0

    def products(self, batch: int) -> Iterator[Product]:
        """Every matrix product of a forward pass over `batch` sequences."""
        rows, width = batch * self.tokens, self.hidden // self.heads
        yield Product(rows, self.hidden, self.hidden, 4 * self.layers)
        yield Product(self.tokens, width, self.tokens, self.layers * batch * self.heads)
        yield Product(self.tokens, self.tokens, width, self.layers * batch * self.heads)
        yield Product(rows, self.hidden, self.feed_forward, self.layers)
        yield Product(rows, self.feed_forward, self.hidden, self.layers)
        if self.patch_inputs:
            yield Product(batch * (self.tokens - 1), self.patch_inputs, self.hidden, 1)
        if self.projection:
            yield Product(batch, self.hidden, self.projection, 1)

    def flop(self, batch: int = 1) -> int:
        return sum(product.flop for product in self.products(batch))


def tower_of(config: object, *, tokens: int | None = None, projection: int = 0) -> Tower:
    """The tower that a transformers config describes. Vision configs know their tokens, text needs `tokens`."""
    image, patch = getattr(config, "image_size", None), getattr(config, "patch_size", None)
    patch_inputs = 0
    if isinstance(image, int) and isinstance(patch, int):
        tokens = (image // patch) ** 2 + 1
        patch_inputs = getattr(config, "num_channels", 3) * patch * patch
    if tokens is None:
        raise ValueError("a text tower needs its number of tokens")
    return Tower(
        layers=config.num_hidden_layers,  # type: ignore[attr-defined]
        hidden=config.hidden_size,  # type: ignore[attr-defined]
        feed_forward=config.intermediate_size,  # type: ignore[attr-defined]
        heads=config.num_attention_heads,  # type: ignore[attr-defined]
        tokens=tokens,
        patch_inputs=patch_inputs,
        projection=projection,
    )
