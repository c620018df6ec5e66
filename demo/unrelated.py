"""Images and texts that have nothing to do with the plant: what the joint encoder must keep away from its frames."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIZE = (320, 240)
# Kinds that training sees, and kinds that only the evaluation uses.
TRAINING_KINDS = ("clouds", "polygons", "grating", "blocks", "landscape", "bars")
HELD_OUT_KINDS = ("noise", "flat", "page", "checkerboard", "portrait")

TEXTS = (
    "what is the tightening torque of the M24 bolts",
    "which part number does the spare filter cartridge have",
    "how often must the grease be changed",
    "who has to sign the work permit",
    "list the error codes of the controller",
    "what voltage does the control cabinet need",
    "how do I reset alarm E-452",
    "which lubricant is specified for the gearbox",
    "when is the next planned shutdown",
    "what is the maximum speed of line 2",
    "the canteen opens at eleven o'clock",
    "which personal protective equipment is required",
    "how many people work on the night shift",
    "the order was delivered last Tuesday",
    "set the parameter to 12 and save",
    "which valve must be closed first",
    "how long does a roll change take",
    "describe the start-up sequence",
    "what does lamp H3 on the panel mean",
    "a dog runs across a green meadow",
    "a plate of spaghetti with tomato sauce",
    "two children play football in the park",
    "a mountain lake at sunrise",
    "an empty street at night",
    "a page of printed text",
    "a portrait of a woman",
    "a red bicycle in front of a house",
    "random noise",
    "a plain white wall",
    "the train to the city leaves in five minutes",
    "where are the drawings of the foundation kept",
    "what is the dimension of the key on the shaft",
    "how is the encoder calibrated",
    "the network switch does not answer",
    "what must be written in the shift log",
    "how much nitrogen is in the bottle",
    "which standard applies to the crane",
    "a cup of coffee on a desk",
    "how to change the password of the terminal",
    "what is the warranty period",
)


def unrelated_image(kind: str, rng: np.random.Generator) -> Image.Image:
    """A 320 x 240 RGB image of `kind`. Raises: KeyError for an unknown kind."""
    return _KINDS[kind](rng)


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = rng.integers(0, 256, 3)
    return int(red), int(green), int(blue)


def _clouds(rng: np.random.Generator) -> Image.Image:
    cells = rng.random((int(rng.integers(2, 12)), int(rng.integers(2, 14)), 3)) * 255
    return Image.fromarray(cells.astype(np.uint8)).resize(SIZE, Image.Resampling.BICUBIC)


def _polygons(rng: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", SIZE, _colour(rng))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(3, 25))):
        corners = rng.uniform((0, 0), SIZE, (int(rng.integers(3, 6)), 2))
        draw.polygon([(float(x), float(y)) for x, y in corners], fill=_colour(rng))
    return image


def _grating(rng: np.random.Generator) -> Image.Image:
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    angle, period = rng.uniform(0, np.pi), rng.uniform(6, 90)
    wave = 0.5 + 0.5 * np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)
    low, high = np.array(_colour(rng)), np.array(_colour(rng))
    return Image.fromarray((low + (high - low) * wave[..., None]).astype(np.uint8))


def _blocks(rng: np.random.Generator) -> Image.Image:
    cells = rng.integers(0, 256, (int(rng.integers(3, 20)), int(rng.integers(3, 24)), 3), dtype=np.uint8)
    return Image.fromarray(cells).resize(SIZE, Image.Resampling.NEAREST)


def _landscape(rng: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", SIZE, (int(rng.integers(90, 180)), int(rng.integers(150, 220)), 240))
    draw = ImageDraw.Draw(image)
    for base in np.sort(rng.uniform(90, 220, 4)):
        heights = base + np.cumsum(rng.normal(0, 7, 33))
        corners = [(i * 10.0, float(h)) for i, h in enumerate(heights)]
        tone = (int(rng.integers(20, 110)), int(rng.integers(70, 170)), int(rng.integers(20, 110)))
        draw.polygon([(0, SIZE[1]), *corners, SIZE], fill=tone)
    return image


def _bars(rng: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", SIZE, (250, 250, 250))
    draw = ImageDraw.Draw(image)
    tone = _colour(rng)
    for index in range(int(rng.integers(4, 12))):
        draw.rectangle((20 + index * 24, int(rng.integers(20, 200)), 36 + index * 24, 220), fill=tone)
    draw.line([(14, 10), (14, 222), (310, 222)], fill=(0, 0, 0), width=2)
    return image


def _noise(rng: np.random.Generator) -> Image.Image:
    return Image.fromarray(rng.integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8))


def _flat(rng: np.random.Generator) -> Image.Image:
    return Image.new("RGB", SIZE, _colour(rng))


def _page(rng: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", SIZE, (245, 243, 238))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(int(rng.integers(9, 15)))
    for row in range(int(rng.integers(8, 16))):
        words = ["".join(chr(97 + c) for c in rng.integers(0, 26, rng.integers(2, 10))) for _ in range(9)]
        draw.text((18, 12 + row * 15), " ".join(words)[: int(rng.integers(30, 52))], font=font, fill=(20, 20, 20))
    return image


def _checkerboard(rng: np.random.Generator) -> Image.Image:
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    side = int(rng.integers(8, 50))
    low, high = np.array(_colour(rng)), np.array(_colour(rng))
    return Image.fromarray(np.where(((x // side + y // side) % 2)[..., None] == 0, low, high).astype(np.uint8))


def _portrait(rng: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", SIZE, _colour(rng))
    draw = ImageDraw.Draw(image)
    skin = (int(rng.integers(120, 250)), int(rng.integers(90, 190)), int(rng.integers(70, 160)))
    x, y = int(rng.integers(130, 190)), int(rng.integers(90, 120))
    draw.ellipse((x - 90, y + 70, x + 90, y + 230), fill=_colour(rng))
    draw.ellipse((x - 52, y - 68, x + 52, y + 72), fill=skin)
    for side in (-20, 20):
        draw.ellipse((x + side - 7, y - 16, x + side + 7, y - 6), fill=(255, 255, 255))
        draw.ellipse((x + side - 3, y - 14, x + side + 3, y - 8), fill=(30, 30, 40))
    draw.arc((x - 22, y + 12, x + 22, y + 44), 10, 170, fill=(150, 40, 40), width=4)
    return image


_KINDS = {
    "clouds": _clouds,
    "polygons": _polygons,
    "grating": _grating,
    "blocks": _blocks,
    "landscape": _landscape,
    "bars": _bars,
    "noise": _noise,
    "flat": _flat,
    "page": _page,
    "checkerboard": _checkerboard,
    "portrait": _portrait,
}
