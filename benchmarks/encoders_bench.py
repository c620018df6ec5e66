"""The encoders alone against the machine's matrix-product limit: `python -m benchmarks.encoders_bench`.

MiniLM on texts of 19 and 104 tokens, the demo's joint encoder and CLIP ViT-B/32 (architecture of `CLIPConfig`'s
defaults, random weights: speed does not depend on them) on images, for batches of 1 to 256, on CPU and, where there is
one, CUDA. Images are timed twice: the model alone, and from a decoded picture to its vector. GFLOP/s are analytic
operations (`benchmarks.flops`) over measured time. Writes a table, a JSON file and a plot to `benchmarks/results/`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final, get_args

import numpy as np
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

from benchmarks.flops import Tower, tower_of
from benchmarks.machine import describe_machine
from benchmarks.matmul_limit import call_seconds, shaped_limit, square_limit
from benchmarks.report import number, table
from lineside.encoders import Dtype, Runtime
from lineside.encoders.pretrained import PretrainedJointEncoder, load_joint_encoder, load_text_encoder
from lineside.encoders.pretrained.modules import compile_module
from lineside.encoders.settings import Engine

RESULTS = Path(__file__).resolve().parent / "results"
TOKENS: Final = (19, 104)
BATCHES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how products are computed; a limit holds for one of these."""

    engine: Engine
    device: str
    dtype: Dtype
    threads: int

    def __str__(self) -> str:
        where = f"{self.threads} thread(s)" if self.device == "cpu" else torch.cuda.get_device_name(self.device)
        return f"{self.engine} {self.dtype}, {where}"

    def runtime(self, max_batch: int) -> Runtime:
        return Runtime(
            engine=self.engine, device=self.device, dtype=self.dtype, threads=self.threads, max_batch=max_batch
        )


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement. `of_square` and `of_shaped`: share of the limit of a large square product and of the encoder's
    own products."""

    setting: Setting
    encoder: str
    work: str
    batch: int
    ms: float
    items_per_s: float
    gflops: float
    of_square: float
    of_shaped: float


@dataclass(frozen=True, slots=True)
class Workload:
    """What is timed: `encode(batch)` runs one batch, `tower` counts its operations."""

    encoder: str
    work: str
    tower: Tower
    encode: Callable[[int], object]


def text_of(tokens: int, count: Callable[[str], int]) -> str:
    """A text of exactly `tokens` tokens, special ones included.

    Raises:
        ValueError: plain words do not reach that length.
    """
    words = "the pump bearing is hot check oil pressure and stop motor before next shift of line two".split()
    text = ""
    for n in range(4 * tokens):
        if count(text) + 2 == tokens:
            return text
        text = f"{text} {words[n % len(words)]}".strip()
    raise ValueError(f"no text of {tokens} tokens")


def workloads(home: Path, setting: Setting) -> Iterator[Workload]:
    """The encoders as the service loads them; the demo's joint encoder only where `make setup` has prepared it."""
    runtime = setting.runtime(max(BATCHES))
    text = load_text_encoder(home / "models" / "minilm", runtime=runtime)
    for tokens in TOKENS:
        sentence = text_of(tokens, lambda t: text.count_tokens([t])[0])
        yield Workload(
            "MiniLM",
            f"text, {tokens} tokens",
            tower_of(text.model.config, tokens=tokens),
            lambda batch, sentence=sentence: text.encode([sentence] * batch),  # type: ignore[misc]
        )
    demo = home / "models" / "joint-demo"
    if (demo / "config.json").is_file():
        yield from _joint("demo joint encoder", load_joint_encoder(demo, runtime=runtime))
    torch.manual_seed(0)
    clip = CLIPModel(CLIPConfig())
    processor = CLIPImageProcessor()
    random = PretrainedJointEncoder(clip, None, processor, fingerprint="random", runtime=runtime)
    yield from _joint("CLIP ViT-B/32", random)


def _joint(name: str, encoder: PretrainedJointEncoder) -> Iterator[Workload]:
    config = encoder.model.config
    tower = tower_of(config.vision_config, projection=encoder.dimension)
    side = config.vision_config.image_size
    pixels = np.random.default_rng(0).standard_normal((max(BATCHES), 3, side, side), dtype=np.float32)
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    pictures = [Image.fromarray(noise)] * max(BATCHES)
    alone = compile_module(_Features(encoder.model), (torch.from_numpy(pixels[:2]),), encoder.runtime)
    yield Workload(name, "image, model alone", tower, lambda batch: alone(pixels[:batch]))
    yield Workload(name, "image, resized too", tower, lambda batch: encoder.encode_images(pictures[:batch]))


class _Features(torch.nn.Module):
    """The vision tower and its projection."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        out = self.model.get_image_features(pixel_values=pixel_values)
        return out if isinstance(out, torch.Tensor) else out.pooler_output


def measure(home: Path, setting: Setting, batches: Sequence[int], *, budget_s: float, longest_s: float) -> list[Point]:
    """Every workload at growing batches; a batch that would take longer than `longest_s` ends its workload."""
    runtime = setting.runtime(max(BATCHES))
    square = square_limit(runtime)
    say(f"{setting}: square product {square / 1e9:.0f} GFLOP/s")
    points: list[Point] = []
    for workload in workloads(home, setting):
        seconds = 0.0
        for batch in batches:
            if seconds and seconds * batch / points[-1].batch > longest_s:
                say(f"  {workload.encoder}, {workload.work}: batch {batch} and more over {longest_s:g} s, left out")
                break
            seconds = median(call_seconds(lambda b=batch, w=workload: w.encode(b), budget_s=budget_s))  # type: ignore[misc]
            flops = workload.tower.flop(batch) / seconds
            shaped = shaped_limit(workload.tower, batch, runtime, budget_s=budget_s / 2)
            points.append(
                Point(
                    setting,
                    workload.encoder,
                    workload.work,
                    batch,
                    1000 * seconds,
                    batch / seconds,
                    flops / 1e9,
                    flops / square,
                    flops / shaped,
                )
            )
            p = points[-1]
            say(
                f"  {p.encoder}, {p.work}, batch {batch}: {p.ms:.1f} ms, {p.items_per_s:.0f}/s, "
                f"{p.gflops:.0f} GFLOP/s, {p.of_square:.0%} of square, {p.of_shaped:.0%} of own products"
            )
    return points


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def render(machine: dict[str, Any], points: Sequence[Point]) -> str:
    rows = [
        (
            f"{p.encoder}, {p.work}",
            str(p.setting),
            str(p.batch),
            number(p.ms),
            number(p.items_per_s, 0),
            number(p.gflops, 0),
            number(100 * p.of_square, 0, " %"),
            number(100 * p.of_shaped, 0, " %"),
        )
        for p in points
    ]
    head = ("encoder", "setting", "batch", "ms", "items/s", "GFLOP/s", "of square", "of own products")
    note = (
        "of square: share of the FLOP/s of a large square matrix product in the same precision and threads;\n"
        "of own products: share of the FLOP/s of a chain of the encoder's own linear layers, nothing between.\n"
        "What is missing is tokenising or resizing, attention, norms, activations and dispatch."
    )
    where = f"{machine['cpu']}, {machine['cores']} cores; torch {machine['torch']}; {machine['when']}"
    return "\n\n".join((where, table(head, rows), note))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="batches 1, 8, 32 and all threads only")
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("LINESIDE_HOME") or ".lineside"))
    parser.add_argument("--dtypes", nargs="+", choices=get_args(Dtype), default=["float32", "bfloat16"])
    parser.add_argument("--engines", nargs="+", choices=get_args(Engine), default=["openvino"], help="on CPU")
    parser.add_argument("--batches", type=int, nargs="+")
    parser.add_argument("--threads", type=int, nargs="+", help="default: 1 and all")
    parser.add_argument("--budget", type=float, default=0.8, help="seconds for one point")
    parser.add_argument("--longest", type=float, default=4.0, help="a batch over this many seconds is left out")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    cores = os.cpu_count() or 1
    threads = options.threads or ([cores] if options.quick else sorted({1, cores}))
    batches = options.batches or ((1, 8, 32) if options.quick else BATCHES)
    settings = [
        Setting(engine, "cpu", dtype, count)
        for engine in options.engines
        for dtype in options.dtypes
        for count in threads
    ]
    if torch.cuda.is_available():
        settings += [Setting("torch", "cuda:0", dtype, cores) for dtype in options.dtypes]
    began = time.monotonic()
    points: list[Point] = []
    for setting in settings:
        points += measure(
            options.home,
            setting,
            batches,
            budget_s=options.budget / (4 if options.quick else 1),
            longest_s=options.longest,
        )
    machine = {**describe_machine(), "seconds": round(time.monotonic() - began)}
    text = render(machine, points)
    print(text)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "encoders.txt").write_text(text + "\n", encoding="utf-8")
    content = {"machine": machine, "points": [asdict(p) for p in points]}
    (options.results / "encoders.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    draw(points, options.results / "encoders.png")
    return 0


def draw(points: Sequence[Point], path: Path) -> None:
    """GFLOP/s against batch, one panel a setting, with the limit of a square product."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    settings = list(dict.fromkeys(p.setting for p in points))
    figure, axes = plt.subplots(
        1, len(settings), figsize=(5.2 * len(settings), 5), constrained_layout=True, squeeze=False
    )
    for axis, setting in zip(axes[0], settings, strict=True):
        here = [p for p in points if p.setting == setting]
        for encoder, work in dict.fromkeys((p.encoder, p.work) for p in here):
            line = [p for p in here if (p.encoder, p.work) == (encoder, work)]
            axis.plot([p.batch for p in line], [p.gflops for p in line], "o-", markersize=4, label=f"{encoder}, {work}")
        axis.axhline(here[0].gflops / here[0].of_square, color="#666666", linestyle="--", label="square product")
        axis.set(title=str(setting), xscale="log", yscale="log", xlabel="batch", ylabel="GFLOP/s")
        axis.set_xticks(sorted({p.batch for p in here}), [str(b) for b in sorted({p.batch for p in here})])
        axis.minorticks_off()
        axis.grid(alpha=0.25)
    axes[0][0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
