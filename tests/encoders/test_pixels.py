"""Image preparation without transformers: the same bits as transformers' Pillow processors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.mobilevit.image_processing_pil_mobilevit import MobileViTImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from lineside.encoders.exported.pixels import prepare
from lineside.encoders.pretrained.export import pixels_of, sample_images
from lineside.errors import DataError

PROCESSORS = {
    "clip": CLIPImageProcessorPil(size={"shortest_edge": 37}, crop_size={"height": 37, "width": 37}),
    "clip as published": CLIPImageProcessorPil(),
    "crop larger than the image": CLIPImageProcessorPil(
        size={"shortest_edge": 20}, crop_size={"height": 31, "width": 24}
    ),
    "siglip": SiglipImageProcessorPil(size={"height": 32, "width": 48}),
    "vit": ViTImageProcessorPil(size={"height": 112, "width": 112}),
    "no normalising": ViTImageProcessorPil(size={"height": 9, "width": 8}, do_normalize=False),
    "no scaling": ViTImageProcessorPil(size={"height": 9, "width": 8}, do_rescale=False),
    "nearest": ViTImageProcessorPil(size={"height": 9, "width": 8}, resample=0),
    "mobilevit": MobileViTImageProcessorPil(size={"shortest_edge": 40}, crop_size={"height": 36, "width": 36}),
    "convnext": ConvNextImageProcessorPil(size={"shortest_edge": 64}),
    "convnext, large": ConvNextImageProcessorPil(size={"shortest_edge": 384}),
}


def expected(processor: Any, images: list[Image.Image]) -> np.ndarray[Any, Any]:
    return processor(images, return_tensors="np")["pixel_values"]


@pytest.mark.parametrize("name", PROCESSORS)
def test_every_bit_is_that_of_the_processor(name: str) -> None:
    processor, images = PROCESSORS[name], sample_images()
    # A strip of 37 × 211 pixels scaled to a short side is what the encoders cut first; here it is small enough.
    ours = prepare(images, pixels_of(processor, side=32))
    theirs = expected(processor, images)
    assert ours.dtype == np.float32
    np.testing.assert_array_equal(ours, theirs)


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**32 - 1), st.sampled_from(["clip", "vit", "siglip"]))
def test_any_size_gives_the_same_bits(width: int, height: int, seed: int, name: str) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    processor = PROCESSORS[name]
    np.testing.assert_array_equal(prepare([image], pixels_of(processor, side=32)), expected(processor, [image]))


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "CMYK", "P", "1", "YCbCr", "HSV"])
def test_other_modes_become_rgb_first_as_the_processor_does(mode: str) -> None:
    gradient = Image.linear_gradient("L").resize((61, 43))
    image = Image.merge("RGB", (gradient, gradient.rotate(90), gradient.rotate(180))).convert(mode)
    processor = PROCESSORS["clip"]
    np.testing.assert_array_equal(prepare([image], pixels_of(processor, side=32)), expected(processor, [image]))


def test_a_processor_that_gives_different_sizes_is_refused() -> None:
    processor = CLIPImageProcessorPil(size={"shortest_edge": 20}, do_center_crop=False)
    with pytest.raises(DataError, match="exact or crop"):
        pixels_of(processor, side=20)
