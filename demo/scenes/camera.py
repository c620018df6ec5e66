"""The camera: pose, light, lens, sensor, overlay and compression between a canvas and a frame."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from demo.scenes.canvas import CENTRE, HEIGHT, WIDTH, Array, Scene

FRAME_SIZE = (320, 240)
_WINDOW = (480.0, 360.0)
_PAD = 70
# Control points of the usual thermal palettes, dark to bright.
PALETTES: dict[str, list[tuple[int, int, int]]] = {
    "ironbow": [
        (0, 0, 10),
        (32, 0, 100),
        (120, 0, 155),
        (190, 30, 130),
        (232, 90, 30),
        (250, 170, 10),
        (255, 235, 90),
        (255, 255, 240),
    ],
    "grey": [(8, 8, 8), (250, 250, 250)],
    "rainbow": [(10, 0, 90), (0, 60, 220), (0, 190, 210), (30, 200, 60), (230, 230, 20), (250, 120, 0), (200, 0, 0)],
}


@dataclass(frozen=True)
class Overlay:
    """What the camera writes into the picture."""

    camera_id: str
    timestamp: str


def photograph(scene: Scene, rng: np.random.Generator, overlay: Overlay | None, harshness: float = 1.0) -> Image.Image:
    """A 320 x 240 RGB frame of `scene`.

    `harshness` scales the nuisances: 1 is the range that training sees, above 1 lies outside it.
    """
    if scene.thermal:
        return _thermal_frame(scene.pixels, rng, overlay, harshness)
    pixels = np.clip(scene.pixels, 0, 1.2) / 1.2
    image = _pose(Image.fromarray((pixels * 255).astype(np.uint8)), rng, harshness)
    frame = np.asarray(image.resize(FRAME_SIZE, Image.Resampling.BOX), dtype=np.float32) * (1.2 / 255)
    frame = _occlude(frame, rng, harshness)
    frame = _light(frame, rng, harshness)
    frame = _blur(frame, rng, harshness)
    frame = _sensor_noise(frame, rng, harshness)
    return _compress(_write(_to_image(frame), overlay, rng), rng, harshness)


def _pose(image: Image.Image, rng: np.random.Generator, harshness: float) -> Image.Image:
    """The canvas as seen from a slightly moved, turned and tilted camera, at twice the frame's size."""
    padded = Image.fromarray(np.pad(np.asarray(image), _pad_widths(image), mode="reflect"))
    zoom = rng.uniform(1 - 0.16 * harshness, 1 + 0.06 * harshness)
    angle = np.deg2rad(rng.uniform(-7, 7) * harshness)
    x = CENTRE[0] + _PAD + rng.uniform(-20, 20) * harshness
    y = CENTRE[1] + _PAD + rng.uniform(-16, 16) * harshness
    half = np.array(_WINDOW) * zoom / 2
    quad: list[float] = []
    for sx, sy in ((-1, -1), (-1, 1), (1, 1), (1, -1)):
        corner = np.array([sx, sy]) * half + rng.uniform(-13, 13, 2) * harshness
        quad.append(float(x + corner[0] * np.cos(angle) - corner[1] * np.sin(angle)))
        quad.append(float(y + corner[0] * np.sin(angle) + corner[1] * np.cos(angle)))
    width, height = FRAME_SIZE
    return padded.transform((width * 2, height * 2), Image.Transform.QUAD, tuple(quad), Image.Resampling.BILINEAR)


def _pad_widths(image: Image.Image) -> tuple[tuple[int, int], ...]:
    return ((_PAD, _PAD), (_PAD, _PAD)) if image.mode in ("F", "L") else ((_PAD, _PAD), (_PAD, _PAD), (0, 0))


def _occlude(frame: Array, rng: np.random.Generator, harshness: float) -> Array:
    """A pipe or cable before the lens, dust on it, or a veil of steam; never across the middle of the picture."""
    height, width = frame.shape[:2]
    if rng.random() < 0.3 * harshness:
        side = rng.choice([-1, 1])
        x = width / 2 + side * rng.uniform(0.34, 0.5) * width
        lean = rng.uniform(-25, 25)
        mask = Image.new("L", (width, height))
        ImageDraw.Draw(mask).line(
            [(x - lean, -5), (x + lean, height + 5)], fill=255, width=int(rng.uniform(3, 22) * harshness)
        )
        cover = np.asarray(mask.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 3))), dtype=np.float32) / 255
        paint = np.float32(rng.uniform(0.03, 0.5)) * np.float32([1, rng.uniform(0.9, 1), rng.uniform(0.8, 1)])
        frame = frame + (paint - frame) * cover[..., None]
    if rng.random() < 0.35 * harshness:
        mask = Image.new("L", (width, height))
        draw = ImageDraw.Draw(mask)
        for _ in range(int(rng.integers(2, 14))):
            x, y, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(1, 7)
            draw.ellipse((x - r, y - r, x + r, y + r), fill=int(rng.uniform(60, 200)))
        cover = np.asarray(mask.filter(ImageFilter.GaussianBlur(rng.uniform(1.5, 4))), dtype=np.float32) / 255
        frame = frame + (np.float32(rng.choice([0.1, 0.65])) - frame) * (0.5 * cover[..., None])
    if rng.random() < 0.2 * harshness:
        veil = Image.fromarray(rng.random((4, 5), dtype=np.float32), mode="F").resize((width, height))
        frame = frame + (np.float32(0.75) - frame) * (np.asarray(veil, dtype=np.float32) * 0.35)[..., None]
    return frame


def _light(frame: Array, rng: np.random.Generator, harshness: float) -> Array:
    """Exposure, uneven light, gamma, colour cast and vignetting."""
    height, width = frame.shape[:2]
    u = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    v = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    direction = rng.uniform(0, 2 * np.pi)
    gradient = 1 + rng.uniform(0, 0.3) * harshness * (np.cos(direction) * u + np.sin(direction) * v)
    vignette = 1 - rng.uniform(0, 0.35) * harshness * (u**2 + v**2) / 2
    cast = 1 + rng.uniform(-0.06, 0.06, 3) * harshness
    gain = np.exp(rng.uniform(-0.28, 0.25) * harshness)
    lit = frame * (gain * gradient * vignette)[..., None].astype(np.float32) * cast.astype(np.float32)
    gamma = np.exp(rng.uniform(-0.2, 0.2) * harshness)
    if rng.random() < 0.12:  # a monochrome camera
        lit = np.repeat(lit.mean(axis=2, keepdims=True), 3, axis=2)
    return np.clip(lit, 0, 1).astype(np.float32) ** np.float32(gamma)


def _blur(frame: Array, rng: np.random.Generator, harshness: float) -> Array:
    """Defocus, or shake along one direction."""
    image = _to_image(frame)
    kind = rng.random()
    if kind < 0.6:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.9) * harshness))
    elif kind < 0.75:
        taps = [0.0] * 25
        rows = rng.random() < 0.5
        for step in range(-1, 2):
            taps[12 + (step if rows else 5 * step)] = 1.0
        image = image.filter(ImageFilter.Kernel((5, 5), taps))
    return np.asarray(image, dtype=np.float32) / 255


def _sensor_noise(frame: Array, rng: np.random.Generator, harshness: float) -> Array:
    """Shot noise (grows with the root of the light) and read noise."""
    read, shot = rng.uniform(0, 0.025) * harshness, rng.uniform(0, 0.035) * harshness
    noise = rng.standard_normal(frame.shape, dtype=np.float32)
    return frame + noise * (np.float32(read) + np.float32(shot) * np.sqrt(frame))


def _to_image(frame: Array) -> Image.Image:
    return Image.fromarray((np.clip(frame, 0, 1) * 255).astype(np.uint8))


def _write(image: Image.Image, overlay: Overlay | None, rng: np.random.Generator) -> Image.Image:
    """Camera name and time in a corner, as surveillance cameras print them."""
    if overlay is None:
        return image
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(int(rng.integers(9, 13)))
    text = f"{overlay.camera_id}  {overlay.timestamp}"
    x, y = int(rng.integers(3, 12)), int(rng.choice([3, 5, FRAME_SIZE[1] - 17, FRAME_SIZE[1] - 20]))
    if rng.random() < 0.5:
        left, top, right, bottom = draw.textbbox((x, y), text, font=font)
        draw.rectangle((left - 2, top - 2, right + 2, bottom + 2), fill=(0, 0, 0))
    draw.text((x, y), text, font=font, fill=(255, 255, 255) if rng.random() < 0.7 else (240, 220, 60))
    return image


def _compress(image: Image.Image, rng: np.random.Generator, harshness: float) -> Image.Image:
    """What JPEG at the camera's quality leaves of the picture."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(np.clip(95 - rng.uniform(0, 45) * harshness, 20, 95)))
    buffer.seek(0)
    return Image.open(buffer).convert("RGB")


def _thermal_frame(celsius: Array, rng: np.random.Generator, overlay: Overlay | None, harshness: float) -> Image.Image:
    """A thermal camera's picture: coarse sensor, palette over a fixed span, scale bar with its limits."""
    assert celsius.shape == (HEIGHT, WIDTH)
    image = _pose(Image.fromarray(celsius), rng, harshness)
    sensor = (160, 120) if rng.random() < 0.5 else FRAME_SIZE
    field = np.asarray(image.resize(sensor, Image.Resampling.BOX), dtype=np.float32)
    field = field + rng.standard_normal(field.shape, dtype=np.float32) * rng.uniform(0.2, 1.3) * harshness
    low, high = rng.uniform(12, 24), rng.uniform(112, 135)
    level = np.clip((field - low) / (high - low), 0, 1)
    name = str(rng.choice(list(PALETTES), p=[0.5, 0.25, 0.25]))
    level_image = Image.fromarray(level).resize(FRAME_SIZE, Image.Resampling.BICUBIC)
    level = np.clip(np.asarray(level_image, dtype=np.float32), 0, 1)
    frame = _palette(level, name)
    bar = _palette(np.repeat(np.linspace(1, 0, 150, dtype=np.float32)[:, None], 9, axis=1), name)
    frame[45:195, 305:314] = bar
    picture = Image.fromarray(frame)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((304, 44, 314, 195), outline=(255, 255, 255))
    font = ImageFont.load_default(10)
    draw.text((288, 31), f"{high:.0f}°C", font=font, fill=(255, 255, 255))
    draw.text((288, 197), f"{low:.0f}°C", font=font, fill=(255, 255, 255))
    return _compress(_write(picture, overlay, rng), rng, harshness)


def _palette(level: Array, name: str) -> np.ndarray:
    points = np.array(PALETTES[name], dtype=np.float32)
    position = np.linspace(0, 1, len(points))
    return np.stack([np.interp(level, position, points[:, c]) for c in range(3)], axis=-1).astype(np.uint8)
