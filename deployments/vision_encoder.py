"""VisionEncoder: image bytes in, joint vector out; decoding, resizing and encoding happen here, in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ray import serve

from deployments.process import start_process
from deployments.settings import BatchLimits, EncoderSettings, read_user_config
from lineside.batching import MicroBatcher
from lineside.encoders import ImageLimits, read_image
from lineside.errors import LinesideError
from lineside.search.contract import Vector


@serve.deployment
class VisionEncoder:
    """One joint encoder; its images are batched on one thread."""

    def __init__(self, encoder: EncoderSettings, limits: ImageLimits) -> None:
        start_process()
        from lineside.encoders import load_joint_encoder  # loads torch, which only this deployment's replicas need

        self._limits = limits
        self._encoder = load_joint_encoder(encoder.model, runtime=encoder.runtime)
        self._batcher: MicroBatcher[bytes, Vector] = MicroBatcher(self._encode, name="vision")

    def reconfigure(self, config: dict[str, Any]) -> None:
        self._batcher.max_batch = read_user_config(BatchLimits, config).max_batch

    async def encode(self, image: bytes) -> Vector:
        """`(d,) float32`, L2-normalised; raises RequestError for an image that cannot be read."""
        return await self._batcher.submit(image)

    def _encode(self, images: Sequence[bytes]) -> Sequence[Vector | BaseException]:
        failed: dict[int, LinesideError] = {}
        decoded = []
        for place, data in enumerate(images):
            try:
                decoded.append(read_image(data, self._limits, wanted_side=self._encoder.image_side))
            except LinesideError as error:  # this image's own; the others of the batch go on
                failed[place] = error
        rows = iter(self._encoder.encode_images(decoded))
        return [failed[place] if place in failed else next(rows) for place in range(len(images))]
