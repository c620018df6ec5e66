"""The chat messages for the language model: fixed rules first, then numbered notes, then the question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lineside.answering.citations import neutralise
from lineside.answering.extract import ExtractSettings, RankedSentence, rank_sentences
from lineside.generation.contract import Message
from lineside.schema import Evidence, LabelVote
from lineside.search.contract import SearchResult

SYSTEM = (
    "You answer questions by copying. Find the notes that answer the question, repeat their sentences word for word, "
    "one to three sentences, each followed by the number of its note. Add no words of your own."
)
_EXAMPLES = (
    (
        "[1] The lamp housing LH-7 is fastened with four screws M5. Tighten the screws to 6 Nm.\n"
        "[2] The lamp is replaced every 4 000 hours. Wear gloves.\n\n"
        "Question: How tight do the screws of the lamp housing have to be?",
        "The lamp housing LH-7 is fastened with four screws M5. [1] Tighten the screws to 6 Nm. [1]",
    ),
    (
        "[1] The fan F-12 blows filtered air into the cabinet.\n"
        "[2] Code: F-E07; Meaning: Fan does not turn; Action: Replace the fuse FU-3.\n"
        "[3] If the cabinet is hotter than 50 °C, check the filter mat first.\n\n"
        "Question: The cabinet shows F-E07. What should I do?",
        "Code: F-E07; Meaning: Fan does not turn; Action: Replace the fuse FU-3. [2]",
    ),
)
"""Two worked examples, about things that no plant's manual holds: small models imitate better than they obey."""
PREAMBLE: tuple[Message, ...] = (
    Message("system", SYSTEM),
    *(m for asked, told in _EXAMPLES for m in (Message("user", asked), Message("assistant", told))),
)
"""The same for every request, so that its attention state is computed once and shared (prefix caching)."""

_CONTROL = re.compile(
    r"<\|[^|>]{0,40}\|>|</?(?:s|system|user|assistant)>|[\x00-\x08\x0b-\x1f\x7f]|```+|#{3,}|={3,}", re.I
)
_ROLE_LINE = re.compile(r"(?im)^\s*(?:system|assistant|user|question|notes?|answer)\s*:\s*")


@dataclass(frozen=True, slots=True)
class PromptSettings:
    """Bounds of the prompt, in characters and sentences: a small model follows a short prompt better."""

    max_sentences: int = 5
    max_note_chars: int = 900
    headings: bool = False
    max_question_chars: int = 600
    max_context_chars: int = 400
    label_share: float = 0.3


def build_prompt(
    result: SearchResult,
    question: str,
    *,
    telemetry: Sequence[str] = (),
    context: str = "",
    settings: PromptSettings = PromptSettings(),
    extract_settings: ExtractSettings = ExtractSettings(),
) -> tuple[Message, ...]:
    """Rules, examples and the question with its notes; `telemetry` are lines as `telemetry.prompt_lines` makes them."""
    ranked = rank_sentences(result, question, extract_settings)
    parts = note_lines(ranked, result.evidence, settings)
    seen = image_line(result.labels, settings.label_share)
    if seen:
        parts.append(seen)
    if telemetry:
        parts.append("Measured: " + "; ".join(plain(line) for line in telemetry))
    if context.strip():
        parts.append(f'Log: "{plain(context)[-settings.max_context_chars :]}"')
    asked = plain(question)[: settings.max_question_chars]
    parts.append(f"\nQuestion: {asked}")
    return (*PREAMBLE, Message("user", "\n".join(parts)))


def note_lines(
    ranked: Sequence[RankedSentence], evidence: Sequence[Evidence], settings: PromptSettings = PromptSettings()
) -> list[str]:
    """The best sentences grouped by evidence, one line each, the best last: `[n] Section: sentence sentence`."""
    by_number = {e.n: e for e in evidence}
    picked: dict[int, list[RankedSentence]] = {}
    used = count = 0
    for sentence in ranked:
        if count >= settings.max_sentences:
            break
        if used + len(sentence.text) > settings.max_note_chars and count:
            continue
        picked.setdefault(sentence.evidence, []).append(sentence)
        used, count = used + len(sentence.text), count + 1
    lines = []
    for n, chosen in reversed(picked.items()):  # what stands next to the question is followed best
        text = " ".join(_ended(plain(s.text)) for s in sorted(chosen, key=lambda s: s.start))
        heading = plain(_heading(by_number[n]))
        lines.append(f"[{n}] {heading}: {text}" if heading and settings.headings else f"[{n}] {text}")
    return lines


def image_line(labels: Sequence[LabelVote], share: float) -> str:
    """What the image shows, in the words of the most similar labelled frames; "" where they do not agree."""
    seen = [plain(v.caption or v.label.replace("-", " ")) for v in labels if v.share >= share]
    return "The camera image shows: " + "; ".join(seen[:2]) + "." if seen else ""


def plain(text: str) -> str:
    """Text that cannot pass for anything else in the prompt: one line, no markers, role names or control tokens."""
    previous = None
    while previous != text:
        previous, text = text, _CONTROL.sub(" ", text)
    text = _ROLE_LINE.sub("", text)
    return neutralise(" ".join(text.split()))


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?", ":")) else text + "."


def _heading(source: Evidence) -> str:
    return source.section_path[-1] if source.section_path else source.title
