"""Counts tokens as a text encoder will, without loading torch: for processes that parse and cut documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tokenizers import Tokenizer

from lineside.encoders.exported import is_exported
from lineside.errors import ConfigurationError

TokenCounter = Callable[[Sequence[str]], list[int]]


def load_token_counter(model: str | Path) -> TokenCounter:
    """`texts → tokens of each`, special tokens left out, not cut: what `TextEncoder.count_tokens` gives.

    `model`: a Hugging Face folder or exported encoders.

    Raises:
        ConfigurationError: the model folder has no tokenizer.
    """
    file = Path(model) / ("text-tokenizer.json" if is_exported(model) else "tokenizer.json")
    if not file.is_file():
        raise ConfigurationError(
            f"no {file.name} in {model}: save the model's fast tokenizer there "
            "(AutoTokenizer.from_pretrained(folder).save_pretrained(folder))"
        )
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(texts: Sequence[str]) -> list[int]:
        if not texts:
            return []
        return [len(encoding.ids) for encoding in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    return count
