"""Joint encoders with random weights, saved as Hugging Face folders: the real architectures, nothing learned."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import pre_tokenizers
from transformers import (
    AutoModel,
    AutoTokenizer,
    CLIPConfig,
    CLIPModel,
    CLIPTokenizer,
    PreTrainedTokenizerBase,
    SiglipConfig,
    SiglipModel,
    VisionTextDualEncoderModel,
    ViTConfig,
    ViTModel,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

TINY_VISION = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
}


def clip_tokenizer() -> PreTrainedTokenizerBase:
    """CLIP's own bytes and special tokens at their places, and no merges: one byte, one token."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: n for n, token in enumerate([*letters, *(letter + "</w>" for letter in letters)])}
    return CLIPTokenizer(vocab=vocabulary | {"<|startoftext|>": 49_406, "<|endoftext|>": 49_407}, merges=[])


def save_clip(folder: Path, config: CLIPConfig) -> Path:
    """CLIP; `CLIPConfig()` is ViT-B/32 with its text tower."""
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(folder)
    clip_tokenizer().save_pretrained(folder)
    side = config.vision_config.image_size
    CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side}).save_pretrained(
        folder
    )
    return folder


def tiny_clip_config() -> CLIPConfig:
    """CLIP's architecture at a thousandth of its size, in a space of 24 dimensions."""
    text = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    return CLIPConfig(text_config=text, vision_config=TINY_VISION, projection_dim=24)


def save_tiny_siglip(folder: Path) -> Path:
    """SigLIP: no mask, every text padded to 64 tokens."""
    torch.manual_seed(1)
    text = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "vocab_size": 49_408,
    }
    SiglipModel(SiglipConfig(text_config=text, vision_config=TINY_VISION)).save_pretrained(folder)
    clip_tokenizer().save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def save_dual_encoder(folder: Path, sentence_model: Path, *, disturbed: bool = False) -> Path:
    """A tiny ViT beside a sentence encoder as locked text tower; `disturbed` changes one weight of the text tower."""
    torch.manual_seed(2)
    text = AutoModel.from_pretrained(sentence_model, local_files_only=True)
    vision = ViTModel(ViTConfig(**TINY_VISION))
    model = VisionTextDualEncoderModel(vision_model=vision, text_model=text)
    if disturbed:
        with torch.no_grad():
            next(model.text_model.encoder.parameters()).add_(0.01)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(sentence_model, local_files_only=True).save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def save_tiny_vit(folder: Path) -> Path:
    """A backbone that sees and does not read."""
    torch.manual_seed(3)
    ViTModel(ViTConfig(**TINY_VISION)).save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder
