"""Exports encoders of Hugging Face folders for machines without torch: graphs, tokenizers, image preparation.

What is written is loaded again and compared with the model before the folder's list of files, and with it the folder,
becomes valid: a tokenizer or an image processor that does more than the loader knows is refused, not approximated.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from lineside.encoders.exported import MANIFEST, ExportManifest, load_joint, load_text
from lineside.encoders.exported.manifest import ExportedFile, FileName, JointPart, JointTextPart, TextPart
from lineside.encoders.exported.pixels import Pixels, prepare
from lineside.encoders.pretrained.joint import ImageTower, PretrainedJointEncoder, TextTower, load_joint_encoder
from lineside.encoders.pretrained.modules import trace
from lineside.encoders.pretrained.text import (
    EXAMPLE_TOKENS,
    MeanPooled,
    PretrainedTextEncoder,
    TwoHeads,
    load_text_encoder,
)
from lineside.encoders.settings import DEFAULT_MAX_TOKENS, Runtime
from lineside.errors import ConfigurationError, DataError

EXACT = Runtime(engine="torch", dtype="float32")
_SAME = Runtime(engine="openvino", dtype="float32")
_COSINE_MIN = 0.9999  # float16 weights in float32 arithmetic; random and trained models have 0.99999 and more
SAMPLES = (
    "Why is this motor overheating?", "E-452", "", "Größe der Dichtung: 25 × 3 mm", "M104 S200 ; set 200 °C",
    "Which seal fits pump P-103? " * 60, "ÉCLAIRAGE\tdu poste №4 — 検査 🔧", "a", "x" * 900,
)  # fmt: skip


def export_encoders(
    out: Path,
    *,
    text: Path | None = None,
    joint: Path | None = None,
    max_tokens: int = DEFAULT_MAX_TOKENS,
) -> ExportManifest:
    """Writes the sentence encoder `text` and the joint encoder `joint`, either or both, to the folder `out`.

    Raises:
        ConfigurationError: there is no model, or nothing to export.
        DataError: the model cannot be exported faithfully; the message says what differs.
    """
    if text is None and joint is None:
        raise ConfigurationError("nothing to export: name a text encoder, a joint encoder or both")
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        manifest = _export(unfinished, text, joint, max_tokens)
        _replace(out, unfinished)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return manifest


def _export(out: Path, text: Path | None, joint: Path | None, max_tokens: int) -> ExportManifest:
    of_text = None if text is None else load_text_encoder(text, max_tokens=max_tokens, runtime=EXACT)
    of_joint = None if joint is None else load_joint_encoder(joint, runtime=EXACT)
    shared = of_text is not None and of_joint is not None and _share(of_text, of_joint)
    text_part = None if of_text is None else _write_text(out, of_text, of_joint if shared else None)
    joint_part = None if of_joint is None else _write_joint(out, of_joint, shared=shared)
    files = {name: _record(out / name) for name in get_args(FileName) if (out / name).is_file()}
    manifest = ExportManifest(text=text_part, joint=joint_part, files=files)
    (out / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
    if of_text is not None:
        _compare_text(out, of_text)
    if of_joint is not None:
        _compare_joint(out, of_joint)
    return manifest


def _replace(out: Path, unfinished: Path) -> None:
    """Moves the files of a finished export to their place; the list of files, without which nothing is valid, last."""
    out.mkdir(exist_ok=True)
    (out / MANIFEST).unlink(missing_ok=True)
    for name in get_args(FileName):
        if (unfinished / name).is_file():
            os.replace(unfinished / name, out / name)
        else:
            (out / name).unlink(missing_ok=True)
    os.replace(unfinished / MANIFEST, out / MANIFEST)


def _share(text: PretrainedTextEncoder, joint: PretrainedJointEncoder) -> bool:
    """Whether one graph can give both vectors: the same weights, and the same tokens of a text."""
    if not joint.encodes_text or text.both_heads(joint) is None:
        return False
    if joint.max_text_tokens != text.max_tokens or joint.pads_to_full_length:
        return False
    own = [ids[0].tolist() for _, ids, _ in (next(text.token_batches([sample])) for sample in SAMPLES)]
    return own == [joint._tokens([sample])[0][0].tolist() for sample in SAMPLES]


def _write_text(out: Path, encoder: PretrainedTextEncoder, joint: PretrainedJointEncoder | None) -> TextPart:
    module = MeanPooled(encoder.model) if joint is None else TwoHeads(encoder.model, joint.model)
    widths = [encoder.dimension, *([] if joint is None else [joint.dimension])]
    _write_graph(out / "text.xml", trace(module, EXAMPLE_TOKENS), ["input_ids", "attention_mask"], widths)
    _write_tokenizer(out / "text-tokenizer.json", encoder.tokenizer)
    return TextPart(
        fingerprint=encoder.fingerprint,
        dimension=encoder.dimension,
        max_tokens=encoder.max_tokens,
        pad_token=encoder.tokenizer.pad_token_id or 0,
    )


def _write_joint(out: Path, encoder: PretrainedJointEncoder, *, shared: bool) -> JointPart:
    graph = trace(ImageTower(encoder.model), (encoder.example_pixels(),))
    _write_graph(out / "image.xml", graph, ["pixel_values"], [encoder.dimension])
    text = None
    if encoder.encodes_text:
        _write_tokenizer(out / "joint-tokenizer.json", encoder.tokenizer)
        if not shared:
            graph = trace(TextTower(encoder.model), encoder.example_tokens())
            _write_graph(out / "joint-text.xml", graph, ["input_ids", "attention_mask"], [encoder.dimension])
        _, mask = encoder._tokens(SAMPLES)
        text = JointTextPart(
            shares_trunk=shared,
            max_tokens=encoder.max_text_tokens,
            pad_token=encoder.tokenizer.pad_token_id or 0,  # type: ignore[union-attr]
            full_length=encoder.pads_to_full_length,
            masked=not mask.all(),
        )
    pixels = pixels_of(encoder.image_processor, side=encoder.image_side)
    return JointPart(fingerprint=encoder.fingerprint, dimension=encoder.dimension, pixels=pixels, text=text)


def _write_graph(path: Path, graph: Any, inputs: list[str], widths: list[int]) -> None:
    import openvino

    for port, name in zip(graph.inputs, inputs, strict=True):
        port.get_tensor().set_names({name})
    found = [port.get_partial_shape()[1] for port in graph.outputs]
    if [width.get_length() if width.is_static else 0 for width in found] != widths:
        raise DataError(f"the graph gives rows of {found}, the model {widths}: this model cannot be exported")
    openvino.save_model(graph, path, compress_to_fp16=True)


def _write_tokenizer(path: Path, tokenizer: Any) -> None:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise DataError(
            f"{type(tokenizer).__name__} has no fast form (tokenizer.json), so that it needs transformers at run time: "
            "convert the tokenizer first, or run this model with torch"
        )
    backend.no_padding()
    backend.no_truncation()
    path.write_text(backend.to_str(), encoding="utf-8")


def pixels_of(processor: Any, *, side: int) -> Pixels:
    """What an image processor of transformers does, as far as it is resize, crop, scale and normalise.

    Raises:
        DataError: it does something else; `_compare_joint` finds what is not in its settings.
    """
    size, crop = processor.size, getattr(processor, "crop_size", None)
    shortest = size.get("shortest_edge")
    exact = (size["height"], size["width"]) if size.get("height") and size.get("width") else None
    cropped = (crop["height"], crop["width"]) if getattr(processor, "do_center_crop", None) and crop else None
    if (share := getattr(processor, "crop_pct", None)) is not None and shortest:  # ConvNeXT
        if shortest < 384:
            shortest, cropped = int(shortest / share), (shortest, shortest)
        else:
            shortest, exact = None, (shortest, shortest)
    resizes = processor.do_resize
    blue_first = bool(getattr(processor, "do_flip_channel_order", False))
    normalises = processor.do_normalize and not blue_first
    try:
        return Pixels(
            side=side,
            exact=exact if resizes else None,
            shortest=shortest if resizes else None,
            resample=2 if processor.resample is None else int(processor.resample),
            cuts_ends="shortest_edge" in size,
            crop=cropped,
            scale=processor.rescale_factor if processor.do_rescale else None,
            mean=tuple(processor.image_mean) if normalises else None,
            deviation=tuple(processor.image_std) if normalises else None,
            blue_first=blue_first,
        )
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise DataError(f"{type(processor).__name__} cannot be exported: {problem['msg']}") from None


def sample_images() -> list[Image.Image]:
    """Noise of odd sizes: wide, high, smaller and larger than a tower wants."""
    rng = np.random.default_rng(11)
    sizes = ((64, 64), (37, 211), (640, 361), (1, 1), (3, 17), (500, 501), (224, 224), (96, 13))
    return [Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)) for width, height in sizes]


def _compare_text(folder: Path, model: PretrainedTextEncoder) -> None:
    exported = load_text(folder, runtime=_SAME)
    if exported._cut_tokens(SAMPLES) != model._cut_tokens(SAMPLES):
        raise DataError("the exported tokenizer of the text encoder gives other tokens: this model cannot be exported")
    _compare_rows("text encoder", exported.encode(SAMPLES), model.encode(SAMPLES))


def _compare_joint(folder: Path, model: PretrainedJointEncoder) -> None:
    exported, images = load_joint(folder, runtime=_SAME), sample_images()
    pixels = prepare(images, exported._part.pixels), model._pixels(images)
    if pixels[0].shape != pixels[1].shape or np.abs(pixels[0] - pixels[1]).max() > 1e-5:
        raise DataError(
            f"{type(model.image_processor).__name__} does more than resizing, cropping, scaling and normalising: this "
            "model cannot be exported"
        )
    _compare_rows("vision tower", exported.encode_images(images), model.encode_images(images))
    if model.encodes_text:
        for own, others in zip(exported._tokens(SAMPLES), model._tokens(SAMPLES), strict=True):
            if not np.array_equal(own, others):
                raise DataError("the exported tokenizer of the joint encoder gives other tokens: it cannot be exported")
        _compare_rows("joint text tower", exported.encode_texts(SAMPLES), model.encode_texts(SAMPLES))


def _compare_rows(what: str, exported: NDArray[np.float32], model: NDArray[np.float32]) -> None:
    worst = float(np.einsum("nd,nd->n", exported, model).min())
    if not worst >= _COSINE_MIN:
        raise DataError(f"the exported {what} agrees with its model to a cosine of {worst:.5f} only, not {_COSINE_MIN}")


def _record(path: Path) -> ExportedFile:
    with path.open("rb") as stream:
        return ExportedFile(size=path.stat().st_size, sha256=hashlib.file_digest(stream, "sha256").hexdigest())
