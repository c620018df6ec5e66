"""Where and in which precision an encoder runs, and the identity of what it computes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from lineside.errors import ConfigurationError

Dtype = Literal["bfloat16", "float32", "float16"]

# Files that decide which vectors come out of a model folder.
_DEFINING_SUFFIXES = {".safetensors", ".json", ".txt", ".model"}


class Runtime(BaseModel):
    """Device, precision and batch size of an encoder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str = Field("cpu", description="torch device: cpu, cuda, cuda:1 ...")
    dtype: Dtype = Field("bfloat16", description="precision of weights and activations; vectors are float32 always")
    max_batch: int = Field(32, ge=1, le=1024, description="rows in one forward pass; longer inputs are cut into these")

    @property
    def torch_dtype(self) -> torch.dtype:
        return {"bfloat16": torch.bfloat16, "float32": torch.float32, "float16": torch.float16}[self.dtype]


def model_directory(path: str | Path) -> Path:
    """The folder of a model, checked.

    Raises:
        ConfigurationError: there is no model folder at `path`.
    """
    folder = Path(path)
    if not (folder / "config.json").is_file():
        raise ConfigurationError(
            f"no model at {folder}: expected a Hugging Face folder with config.json "
            "(run `make setup` for the demo's models, or set the path to your own)"
        )
    return folder


def fingerprint(folder: Path, *, role: str) -> str:
    """16 hex digits that change whenever the vectors of the model in `folder` may change.

    Device and precision are left out on purpose: bfloat16 and float32 vectors of one model may share an index.
    """
    digest = hashlib.sha256(role.encode())
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix in _DEFINING_SUFFIXES:
            digest.update(file.relative_to(folder).as_posix().encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def unit_rows(rows: torch.Tensor) -> NDArray[np.float32]:
    """`(n, d)` of any float type → `(n, d) float32` on the CPU, every row of length 1."""
    normalised: NDArray[np.float32] = torch.nn.functional.normalize(rows.float(), dim=-1).cpu().numpy()
    return normalised
