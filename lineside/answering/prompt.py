"""The chat messages for the language model: fixed rules first, then numbered notes, then the question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lineside.answering.citations import neutralise
from lineside.answering.ranking import RankedSentence, RankSettings, rank_sentences
from lineside.generation.contract import Message
from lineside.schema import Evidence, LabelVote
from lineside.search.contract import SearchResult

Style = Literal["copy", "cite"]
"""`copy`: asks for sentences of the text alone; their citations are found afterwards. Models under about a billion
parameters lose the thread over numbered notes and examples (they repeat the example). `cite`: numbered notes, and the
model cites them itself."""

SYSTEM: dict[Style, str] = {
    "copy": "You copy sentences.",
    "cite": (
        "You answer questions about machines from numbered notes. Copy the sentences of the notes that answer the "
        "question, word for word, one to three sentences. End each sentence with the number of its note in brackets, "
        "like [1]. Keep every number, unit and code as written. Add nothing that is not in the notes."
    ),
}
"""First message of every request of a style, so that its attention state is computed once (prefix caching)."""
_ORDER: dict[Style, str] = {
    "copy": "Which sentence of the text answers the question? Repeat it exactly.",
    "cite": "Answer in one to three sentences copied from the notes, each ending with its [n].",
}

_CONTROL = re.compile(
    r"<\|(?:[^|>]{0,40}\|>)?|\|>|</?(?:s|system|user|assistant)>|[\x00-\x08\x0b-\x1f\x7f]|```+|#{3,}|={3,}", re.I
)
_ENUMERATOR = re.compile(r"^\s*\(?\d{1,2}[.)]\s+")
_ROLE_LINE = re.compile(r"(?im)^[^\S\n]*(?:system|assistant|user|question|notes?|answer)\s*:\s*")


@dataclass(frozen=True, slots=True)
class PromptSettings:
    """Bounds of the prompt, in characters and sentences: a small model follows a short prompt better."""

    style: Style = "copy"
    max_sentences: int = 4
    max_note_chars: int = 900
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
    ranking: RankSettings = RankSettings(),
) -> tuple[Message, ...]:
    """The fixed system message, then situation, text, question and order; `telemetry` holds lines of `prompt_lines`."""
    ranked = rank_sentences(result, question, ranking)
    about = []
    seen = image_line(result.labels, settings.label_share)
    if seen:
        about.append(seen)
    if telemetry:
        about.append("Measured: " + "; ".join(plain(line) for line in telemetry))
    if context.strip():
        about.append(f'Log: "{plain(context)[-settings.max_context_chars :]}"')
    if about:  # before the text, not in it: what is said here is no evidence and must not be repeated as an answer
        about.append("")
    heading = "Text:" if settings.style == "copy" else "Notes:"
    asked = plain(question)[: settings.max_question_chars]
    text = note_lines(ranked, result.evidence, settings)
    content = "\n".join((*about, heading, *text, "", f"Question: {asked}", "", _ORDER[settings.style]))
    return (Message("system", SYSTEM[settings.style]), Message("user", content))


def note_lines(
    ranked: Sequence[RankedSentence], evidence: Sequence[Evidence], settings: PromptSettings = PromptSettings()
) -> list[str]:
    """The best sentences within the bounds, the best last, where a small model looks first.

    Style `copy`: a sentence a line. Style `cite`: a line for each evidence, `[n] Section: sentence sentence`.
    """
    picked: list[RankedSentence] = []
    used = 0
    for sentence in ranked:
        if len(picked) >= settings.max_sentences:
            break
        if picked and used + len(sentence.text) > settings.max_note_chars:
            continue
        picked.append(sentence)
        used += len(sentence.text)
    if settings.style == "copy":
        return [_ended(plain(s.text)[: settings.max_note_chars]) for s in reversed(picked)]
    by_number = {e.n: e for e in evidence}
    lines = []
    for n in reversed(dict.fromkeys(s.evidence for s in picked)):
        own = sorted((s for s in picked if s.evidence == n), key=lambda s: s.start)
        text = " ".join(_ended(plain(s.text)[: settings.max_note_chars]) for s in own)
        heading = plain(_heading(by_number[n]))
        lines.append(f"[{n}] {heading}: {text}" if heading else f"[{n}] {text}")
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
    text = _ENUMERATOR.sub("", text)  # a copied "7." would end the model's sentence there
    return text if text.endswith((".", "!", "?", ":")) else text + "."


def _heading(source: Evidence) -> str:
    return source.section_path[-1] if source.section_path else source.title
