"""Text and joint encoders from an exported folder: OpenVINO, tokenizers, Pillow and NumPy, nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer

from lineside.encoders.exported.manifest import ExportManifest, FileName, read_file, read_manifest
from lineside.encoders.exported.pixels import prepare
from lineside.encoders.graphs import Compiled, compile_graph
from lineside.encoders.joint import JointEncoder
from lineside.encoders.settings import DEFAULT_MAX_TOKENS, Runtime
from lineside.encoders.text import TextEncoder
from lineside.errors import ConfigurationError, IntegrityError

Graph = Literal["text", "joint-text", "image"]
_INPUTS: dict[Graph, list[str]] = {
    "text": ["input_ids", "attention_mask"],
    "joint-text": ["input_ids", "attention_mask"],
    "image": ["pixel_values"],
}


class ExportedTextEncoder(TextEncoder):
    """The sentence encoder of an exported folder."""

    def __init__(self, folder: Path, manifest: ExportManifest, runtime: Runtime) -> None:
        if manifest.text is None:
            raise ConfigurationError(f"{folder} holds no text encoder: export it with --text")
        part = manifest.text
        super().__init__(
            dimension=part.dimension,
            max_tokens=part.max_tokens,
            fingerprint=part.fingerprint,
            pad_token=part.pad_token,
            runtime=runtime,
        )
        self._folder, self._manifest = folder, manifest
        self._tokenizer = _tokenizer(folder, manifest, "text-tokenizer.json")
        self._cutting = _tokenizer(folder, manifest, "text-tokenizer.json", max_tokens=part.max_tokens)

    @cached_property
    def _run(self) -> Compiled:
        # Where the trunk is shared this graph gives joint rows too: one compiled graph for both, not two in memory.
        return _compile(self._folder, self._manifest, "text", self.runtime)

    def _cut_tokens(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._cutting.encode_batch_fast(list(texts))]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        if not texts:
            return []
        return [len(e.ids) for e in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def both_heads(self, joint: JointEncoder) -> Callable[[], Compiled] | None:
        if not isinstance(joint, ExportedJointEncoder) or not joint.shares_trunk_with(self._manifest):
            return None
        return lambda: self._run


class ExportedJointEncoder(JointEncoder):
    """The joint encoder of an exported folder."""

    def __init__(self, folder: Path, manifest: ExportManifest, runtime: Runtime) -> None:
        if manifest.joint is None:
            raise ConfigurationError(f"{folder} holds no joint encoder: export it with --joint")
        part, text = manifest.joint, manifest.joint.text
        super().__init__(
            dimension=part.dimension,
            fingerprint=part.fingerprint,
            image_side=part.pixels.side,
            cuts_ends=part.pixels.cuts_ends,
            encodes_text=text is not None,
            max_text_tokens=0 if text is None else text.max_tokens,
            pad_token=0 if text is None else text.pad_token,
            runtime=runtime,
        )
        self._folder, self._manifest, self._part, self._text = folder, manifest, part, text

    @cached_property
    def _run_images(self) -> Compiled:
        return _compile(self._folder, self._manifest, "image", self.runtime)

    @cached_property
    def _run_texts(self) -> Compiled:
        if self._text is None or not self._text.shares_trunk:
            return _compile(self._folder, self._manifest, "joint-text", self.runtime)
        both = _compile(self._folder, self._manifest, "text", self.runtime)
        return lambda ids, mask: both(ids, mask)[1:]

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return _tokenizer(self._folder, self._manifest, "joint-tokenizer.json", max_tokens=self.max_text_tokens)

    def shares_trunk_with(self, manifest: ExportManifest) -> bool:
        return self._text is not None and self._text.shares_trunk and manifest.files == self._manifest.files

    def _pixels(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        return prepare(images, self._part.pixels)

    def _tokens(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        assert self._text is not None  # encode_texts has asked
        encoded = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]
        width = self.max_text_tokens if self._text.full_length else max(map(len, encoded))
        ids = np.full((len(encoded), width), self._pad_token, np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(encoded):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        return ids, mask if self._text.masked else np.ones_like(ids)


def load_text(
    folder: str | Path, *, max_tokens: int = DEFAULT_MAX_TOKENS, runtime: Runtime = Runtime()
) -> ExportedTextEncoder:
    """The sentence encoder of an exported folder; its graph is compiled when it is first used.

    Raises:
        ConfigurationError: it is not there, was exported for fewer tokens, or `runtime` is not one of OpenVINO.
        IntegrityError: a file is damaged.
    """
    path, manifest = Path(folder), read_manifest(folder)
    _check_engine(runtime)
    encoder = ExportedTextEncoder(path, manifest, runtime)
    if max_tokens != DEFAULT_MAX_TOKENS and max_tokens != encoder.max_tokens:
        raise ConfigurationError(
            f"{folder} was exported for texts of {encoder.max_tokens} tokens, not {max_tokens}: export it again"
        )
    return encoder


def load_joint(folder: str | Path, *, runtime: Runtime = Runtime()) -> ExportedJointEncoder:
    """The joint encoder of an exported folder; its graphs are compiled when they are first used.

    Raises:
        ConfigurationError: it is not there, or `runtime` is not one of OpenVINO.
        IntegrityError: a file is damaged.
    """
    path, manifest = Path(folder), read_manifest(folder)
    _check_engine(runtime)
    return ExportedJointEncoder(path, manifest, runtime)


def _check_engine(runtime: Runtime) -> None:
    if runtime.engine != "openvino":
        raise ConfigurationError(
            f"exported encoders run on openvino: for engine {runtime.engine} name the folder that they were made from"
        )


def _compile(folder: Path, manifest: ExportManifest, graph: Graph, runtime: Runtime) -> Compiled:
    """Raises IntegrityError for what is not the exported graph; nothing is parsed before its checksum was compared."""
    import openvino

    xml = read_file(folder, manifest, _file(graph, "xml"))
    weights = read_file(folder, manifest, _file(graph, "bin"))
    try:
        model = openvino.Core().read_model(xml, weights)
        inputs = [port.get_any_name() for port in model.inputs]
        widths = [port.get_partial_shape()[1] for port in model.outputs]
        found = [width.get_length() if width.is_static else 0 for width in widths]
    except (RuntimeError, IndexError) as error:
        raise IntegrityError(f"{folder / graph}.xml is not a graph that can be run: {_first_line(error)}") from error
    if inputs != _INPUTS[graph] or found != _widths(manifest, graph):
        raise IntegrityError(
            f"{folder / graph}.xml takes {inputs} and gives rows of {found}, not {_INPUTS[graph]} and "
            f"{_widths(manifest, graph)}: export it again"
        )
    try:
        return compile_graph(model, runtime)
    except RuntimeError as error:
        raise IntegrityError(f"{folder / graph}.xml cannot be compiled here: {_first_line(error)}") from error


def _widths(manifest: ExportManifest, graph: Graph) -> list[int]:
    """Lengths of the rows that a graph gives."""
    if graph != "text":
        return [] if manifest.joint is None else [manifest.joint.dimension]
    shared = manifest.joint is not None and manifest.joint.text is not None and manifest.joint.text.shares_trunk
    both = [manifest.text.dimension] if manifest.text is not None else []
    return [*both, manifest.joint.dimension] if shared and manifest.joint is not None else both


def _tokenizer(folder: Path, manifest: ExportManifest, name: FileName, *, max_tokens: int | None = None) -> Tokenizer:
    """Without padding; cut to `max_tokens`, special ones included, where given."""
    # Its threads would take the core of a service that has two.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    data = read_file(folder, manifest, name)
    try:
        tokenizer = Tokenizer.from_buffer(data)
    except Exception as error:
        raise IntegrityError(f"{folder / name} is not a tokenizer: {_first_line(error)}") from error
    tokenizer.no_padding()
    if max_tokens is None:
        tokenizer.no_truncation()
    else:
        tokenizer.enable_truncation(max_tokens)
    return tokenizer


def _file(graph: Graph, suffix: Literal["xml", "bin"]) -> FileName:
    name: FileName = f"{graph}.{suffix}"  # type: ignore[assignment]
    return name


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
