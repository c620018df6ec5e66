"""Questions and frames for load: realistic, distinct, the same for every service and every run of a seed."""

from __future__ import annotations

import base64
import html
import io
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from PIL import Image

from demo.render_frames import LABELS, render_frame
from lineside.analysis import is_identifier

Kind = Literal["text", "image", "image+text"]
KINDS: Final[tuple[Kind, ...]] = ("text", "image", "image+text")
_SEED: Final = 1_000_000_000
_SCENES: Final = 78
DEMO: Final = Path(__file__).resolve().parent.parent / "demo"

_EQUIPMENT: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (
        "furnace F1",
        ("burner BRN-07", "burner BRN-18", "walking beam", "recuperator", "door seal", "combustion-air fan"),
    ),
    ("stand S2", ("work roll chock", "backup roll bearing", "roll change carriage", "spray header", "roll gap sensor")),
    ("stand S4", ("work roll surface", "bending cylinder", "looper", "thickness gauge", "entry guide")),
    ("main drive M2", ("drive-end bearing", "stator winding", "cooling fan", "encoder coupling", "brush gear")),
    ("gearbox GB-3", ("oil filter", "high-speed shaft bearing", "input coupling", "breather", "sump heater")),
    ("hydraulic station HYD-1", ("AGC servo valve", "accumulator", "return filter", "pressure hose", "relief valve")),
    ("hydraulic station HYD-2", ("suction strainer", "oil cooler", "pump coupling", "pressure gauge", "level switch")),
    ("pump P-104", ("mechanical seal", "impeller", "suction valve", "gland packing", "motor coupling")),
    (
        "descaling pump P-106",
        ("nozzle header", "plunger seal", "unloader valve", "minimum-flow line", "suction filter"),
    ),
    ("conveyor CV-3", ("belt joint", "tail pulley", "return idler", "pull-cord switch", "take-up unit")),
    ("conveyor CV-5", ("belt scraper", "drive drum", "tracking switch", "skirting", "drip tray")),
    ("welder W1", ("weld seam", "clamping jaw", "laser optics", "seam trimmer", "annealing coil")),
    ("coiler C1", ("mandrel segment", "wrapper roll", "expansion cylinder", "pinch roll", "coil car")),
    ("coiler C2", ("mandrel bearing", "strapping head", "rotary union", "side guide", "tail support")),
)
_SYMPTOMS: Final = (
    "is running hot",
    "is leaking oil",
    "vibrates above the limit",
    "trips after start-up",
    "makes a grinding noise",
    "loses pressure slowly",
    "shows scratches",
    "is out of alignment",
    "drifts to the drive side",
    "does not reach its set point",
    "is worn on one side",
    "shows smoke",
)
_CHECKS: Final = (
    "maximum permitted temperature",
    "tightening torque",
    "inspection interval",
    "permitted vibration velocity",
    "minimum operating pressure",
    "wear limit",
    "lubricant and its quantity",
    "lock-out procedure",
    "spare part number",
    "alarm threshold",
    "flushing time",
    "alignment tolerance",
)
_MOMENTS: Final = (
    "before the next shift",
    "after a roll change",
    "during a cold start",
    "at full line speed",
    "with the line stopped",
    "after twelve hours of running",
    "on the night shift",
    "after the last repair",
    "during threading",
    "at low load",
)
_TEMPLATES: Final = (
    "What is the {check} of the {part} on {unit}?",
    "The {part} on {unit} {symptom} {moment}, why?",
    "Why is it that the {part} of {unit} {symptom}?",
    "{unit} reports {code}; may we keep running {moment}?",
    "What are the steps for {topic} on {unit} {moment}?",
    "How do I replace the {part} of {unit} {moment}?",
    "What does {code} mean for the {part} of {unit}?",
    "Whom do I call when the {part} on {unit} {symptom}?",
    "Does {topic} change the {check} of the {part}?",
    "{code} on {unit}: is the {check} exceeded?",
)
_LEADS: Final = ("Shift {shift}, {time}: {question}", "At {time}: {question}", "{question} (shift {shift}, {time})")
_LOOKS: Final = (
    "What does camera {camera} show on {unit} at {time}?",
    "Is anything wrong in this frame of {unit} taken at {time}?",
    "Frame from camera {camera} at {time}: what should be done?",
)
_HEADING: Final = re.compile(r"^#{2,4}\s+(.+?)\s*#*$|<h[2-4][^>]*>(.*?)</h[2-4]>", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words of the plant. `questions` are answerable ones, from the tuning half of the question set only."""

    topics: tuple[str, ...]
    codes: tuple[str, ...]
    questions: tuple[str, ...]

    @classmethod
    def of_demo(cls, demo: Path = DEMO) -> Vocabulary:
        """Headings and identifiers of the manuals and the tuning questions; built-in ones where there are none."""
        topics: set[str] = set()
        codes: set[str] = set()
        for path in sorted((demo / "knowledge").rglob("*")):
            if path.suffix not in {".md", ".html"}:
                continue
            text = path.read_text(encoding="utf-8")
            for heading in _HEADING.finditer(text):
                title = html.unescape(re.sub(r"<[^>]+>", "", heading.group(1) or heading.group(2)))
                title = re.sub(r"^[\d.]+\s+", "", title).strip(" `*")
                if 1 < len(title.split()) <= 5:
                    topics.add(title[0].lower() + title[1:])
            codes.update(c for c in re.findall(r"\b[A-Z]{1,4}-\d{2,5}\b", text) if is_identifier(c.casefold()))
        tuning = sorted((demo / "questions").glob("tuning*.jsonl"))
        records = [json.loads(line) for path in tuning for line in path.read_text(encoding="utf-8").splitlines()]
        return cls(
            tuple(sorted(topics)) or ("roll change", "bearing temperature", "belt tracking", "seam inspection"),
            tuple(sorted(codes)) or tuple(f"E-{n}" for n in range(101, 180, 3)),
            tuple(r["question"] for r in records if r["answerable"] and not r.get("image_label")),
        )


def questions(
    count: int, seed: int = 0, *, answerable_share: float = 0.0, vocabulary: Vocabulary | None = None
) -> list[str]:
    """`count` distinct questions of about 20 tokens; the given share are tuning questions with a lead-in (26 tokens).

    Raises:
        ValueError: the vocabulary does not yield that many.
    """
    words = vocabulary or Vocabulary.of_demo()
    rng = random.Random(seed)
    seen: dict[str, None] = {}
    for _ in range(20 * count):
        if len(seen) == count:
            return list(seen)
        unit, parts = rng.choice(_EQUIPMENT)
        if words.questions and rng.random() < answerable_share:
            question = rng.choice(words.questions)
            text = rng.choice(_LEADS).format(shift=rng.choice("ABCDE"), time=_time(rng), unit=unit, question=question)
        else:
            text = rng.choice(_TEMPLATES).format(
                unit=unit,
                part=rng.choice(parts),
                symptom=rng.choice(_SYMPTOMS),
                check=rng.choice(_CHECKS),
                moment=rng.choice(_MOMENTS),
                topic=rng.choice(words.topics),
                code=rng.choice(words.codes),
            )
        seen[text[0].upper() + text[1:]] = None
    raise ValueError(f"the vocabulary yields {len(seen)} distinct questions, not {count}")


def looks(count: int, seed: int = 0) -> list[str]:
    """Short questions that lean on the frame, for image queries: the contract wants a question with every frame."""
    rng = random.Random(seed)
    return [
        rng.choice(_LOOKS).format(
            unit=rng.choice(_EQUIPMENT)[0], camera=f"CAM-{rng.randint(1, 400):03}", time=_time(rng)
        )
        for _ in range(count)
    ]


def _time(rng: random.Random) -> str:
    return f"{rng.randrange(24):02}:{rng.randrange(60):02}"


def frames(count: int, seed: int = 0, side: tuple[int, int] = (640, 480), quality: int = 85) -> Iterator[bytes]:
    """`count` distinct JPEG frames of `side` pixels.

    Scenes are the demo's renderings at seeds that neither its training nor its index nor its evaluation uses; each is
    used with a crop, a brightness and sensor noise of its own.
    """
    rng = np.random.default_rng(seed)
    grains = _grains(rng, side)
    for n in range(count):
        yield _shot(_scene(n % _SCENES), grains[n % len(grains)], rng, side, quality)


@cache
def _scene(number: int) -> Image.Image:
    labels = sorted(LABELS)
    return render_frame(labels[number % len(labels)], _SEED + number)


def _grains(rng: np.random.Generator, side: tuple[int, int]) -> list[np.ndarray]:
    """Sensor noise, `(height, width, 1) int16`, two pixels coarse."""
    shape = (side[1] // 2, side[0] // 2, 1)
    return [rng.normal(0.0, 4.0, shape).astype(np.int16).repeat(2, axis=0).repeat(2, axis=1) for _ in range(8)]


def _shot(
    scene: Image.Image, grain: np.ndarray, rng: np.random.Generator, side: tuple[int, int], quality: int
) -> bytes:
    """`scene` as another camera might have caught it a moment later."""
    width, height = scene.size
    keep = rng.uniform(0.88, 1.0)
    left, top = rng.uniform(0, 1 - keep, 2) * (width, height)
    cut = scene.resize(side, Image.Resampling.BILINEAR, box=(left, top, left + keep * width, top + keep * height))
    light = rng.uniform(0.85, 1.15)
    lit = cut.point([min(255, int(level * light)) for level in range(256)] * 3)
    pixels = np.asarray(lit, dtype=np.int16) + np.roll(grain, rng.integers(0, side[0]), axis=1)
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return file.getvalue()


def write_bodies(
    path: Path, kind: Kind, count: int, *, seed: int = 0, answerable_share: float = 0.0, **fields: Any
) -> Path:
    """Write `count` distinct request bodies, one JSON object a line; `fields` (k, mode ...) go into each.

    Every kind uses other questions of the same sequence than the others, so that a cache filled by one kind does
    not help the next.
    """
    start = KINDS.index(kind)
    texts: Sequence[str] = (
        looks(count, seed)
        if kind == "image"
        else questions(3 * count, seed, answerable_share=answerable_share)[start::3]
    )
    pictures = frames(count, seed + start) if kind != "text" else iter(())
    with path.open("w", encoding="utf-8") as file:
        for text in texts:
            body = {"question": text, **fields}
            if kind != "text":
                body["image"] = base64.b64encode(next(pictures)).decode("ascii")
            file.write(json.dumps(body) + "\n")
    return path
