"""Joins the demo's own weights with the locked MiniLM trunk to a joint encoder that transformers loads by itself.

`python -m demo.assemble_joint_encoder MINILM_DIR OUT`
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

SOURCE = Path(__file__).parent / "joint_encoder"
SMALL_WEIGHTS = "vision_and_heads.safetensors"
# What comes with the text tower, and what is the demo's own.
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
_OWN_FILES = ("config.json", "preprocessor_config.json", "MODEL_CARD.md")


def assemble(minilm_dir: Path, out: Path, source: Path = SOURCE) -> Path:
    """Writes a Hugging Face folder for `VisionTextDualEncoderModel` to `out`; the same bytes for the same input.

    `minilm_dir` holds `model.safetensors` and the tokenizer of all-MiniLM-L6-v2. Returns `out`.
    Raises: FileNotFoundError when a file is missing; ValueError when the weights do not fit each other.
    """
    trunk = load_file(minilm_dir / "model.safetensors")
    small = load_file(source / SMALL_WEIGHTS)
    weights = {
        f"text_model.{name}": tensor.float() for name, tensor in trunk.items() if not name.endswith("position_ids")
    }
    unknown = [name for name in small if name.startswith("text_model.") and name not in weights]
    hidden = json.loads((source / "config.json").read_text())["text_config"]["hidden_size"]
    width = weights["text_model.embeddings.word_embeddings.weight"].shape[1]
    if unknown or width != hidden:
        raise ValueError(f"{minilm_dir}: not the text tower this encoder was trained on ({unknown or width})")
    weights.update({name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in small.items()})

    out.mkdir(parents=True, exist_ok=True)
    for name in _TOKENIZER_FILES:
        shutil.copyfile(minilm_dir / name, out / name)
    for name in _OWN_FILES:
        shutil.copyfile(source / name, out / name)
    # The weights come last and by renaming, so that an interrupted run leaves no folder that looks complete.
    partial = out / "model.safetensors.partial"
    save_file({name: weights[name].contiguous() for name in sorted(weights)}, partial, metadata={"format": "pt"})
    os.replace(partial, out / "model.safetensors")
    return out


def split_off(weights: dict[str, torch.Tensor], file: Path) -> None:
    """Saves what is not MiniLM's trunk in half precision: the vision tower, both projections and the text pooler."""
    small = {
        name: (tensor.detach().half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in sorted(weights.items())
        if not name.startswith("text_model.") or name.startswith("text_model.pooler.")
    }
    save_file(small, file, metadata={"format": "pt"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minilm_dir", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    print(assemble(options.minilm_dir, options.out))


if __name__ == "__main__":
    main()
