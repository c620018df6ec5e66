"""What kind of answer a question wants: a quantity of some kind, steps, a cause, a part, the meaning of a code."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from lineside.answering.claims import state

_WANTED_UNITS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"torque|how tight|tighten\w*", ("torque",)),
    (r"how often|interval|how long|how many (?:hours|days|minutes|weeks|months)|how soon|how quickly|duration|period"
     r"|shelf life|when (?:is|are|must|should|do|does|was|were|shall)|after how", ("time",)),
    (r"temperature|how (?:hot|warm|cold)|degrees", ("temperature",)),
    (r"pressure|pressure drop", ("pressure",)),
    (r"vibration", ("speed", "vibration", "length")),
    (r"speed|how fast|velocity", ("speed", "rotation", "temperature")),
    (r"clearance|gap|thick\w*|width|diameter|misalign\w*|backlash|run-?out|distance|depth|deep|wide|length|offset|height"
     r"|how (?:far|high|long|large|big|close|much wear)|shift\w*|crown|sag|travel|stroke|size|fineness|tolerance",
     ("length", "angle")),
    (r"flow|delivery rate|how much water", ("flow",)),
    (r"how much (?:oil|grease|water|coolant|fluid)|quantity|volume|capacity|fill(?:ing)?|litres?", ("volume", "mass")),
    (r"weigh\w*|heavy|mass|load|lift", ("mass", "force")),
    (r"force|tension", ("force", "pressure", "torque")),
    (r"power", ("power",)),
    (r"voltage|volts?", ("voltage",)),
    (r"current|amp\w*", ("current",)),
    (r"resistance|insulation", ("resistance",)),
    (r"frequency|hertz", ("frequency",)),
    (r"content|share|percent\w*|humidity|concentration|ratio|opening|level|excess", ("share",)),
    (r"costs?|prices?|expensive|budget", ("money",)),
    (r"viscosity", ("viscosity",)),
    (r"angle|inclin\w*|tilt", ("angle",)),
    (r"hardness", ("hardness",)),
    (r"noise|loud", ("sound",)),
)  # fmt: skip
_UNITS = [(re.compile(rf"\b(?:{pattern})\b"), kinds) for pattern, kinds in _WANTED_UNITS]
_QUANTITY = re.compile(
    r"\bhow (?:much|many|often|long|high|low|far|fast|hot|cold|warm|large|big|wide|deep|thick|tight|heavy|close|soon"
    r"|loud)\b"
    r"|\b(?:what|which)\b[^?]{0,60}?\b(?:torque|pressure|"
    r"temperature|speed|interval|limits?|value|gap|clearance|flow|level|voltage|current|power|distance|thickness|width|"
    r"diameter|weight|quantity|capacity|rate|tension|force|ratio|content|setpoint|setting|misalignment|backlash|"
    r"viscosity|resistance|time|percentage|angle|vibration|number of|amount|point|cost|price|height|length|depth"
    r"|load|size"
    r"|tolerance|"
    r"range|offset)\b"
    r"|\b(?:maximum|minimum|max|min|limit|permitted|permissible|allowed|allowable|nominal|rated|largest|smallest"
    r"|highest"
    r"|lowest|too (?:much|little|hot|high|low|long|deep|wide))\b|\btorque\b"
)
# "Nitrogen pressure in AC-64?": a value asked for by its bare name.
_VERBAL = re.compile(
    r"\b(?:what|which|who|whose|why|how|when|where|is|are|was|were|do|does|did|has|have|had|can|could|may|must|shall|should"
    r"|will|would)\b"
)
_PROCEDURE = re.compile(
    r"\bhow (?:do|to|can|should|must|is|are|shall)\b|\bwhat (?:should|must|do|shall|can) (?:i|we|the|be|an?|you|one)\b"
    r"|\bwhat (?:is|has) to (?:be done|do)\b|\bwhat to do\b|\bsteps?\b|\bprocedure\b|\bwhat (?:action|next)\b"
    r"|\bwhat now\b"
    r"|\bwhat (?:is|are) done\b|\bwhat happens\b|\bwhat do\b|\bwhere do\b|\bway to\b"
)
# Asks for a yes or no, or for a decision: rules and prohibitions answer it, a list of steps seldom does.
_RULING = re.compile(
    r"(?:^|[.,;:!?]\s+|\b(?:and|or|but)\s+)(?:is|are|do|does|may|can|could|should|must|shall|will|would|has|have)"
    r" (?:i|we|they|it|he|she|one|you|this|that|these|those|there|the|an?|my|our|somebody|someone|anybody|people)\b"
    r"|\b(?:do|may|can|should|must|shall) (?:i|we|they|one|you|people)\b|\ballowed\b|\bpermitted\b"
    r"|\bgood enough\b|\ball right\b|\bok(?:ay)?\b|\bfine\b|\bfit (?:to|for)\b|\banything (?:to|wrong)\b|\bor not\b"
    r"|\bacceptable\b|\btolera\w+\b|\b(?:too )?(?:bad|serious|harmful|dangerous)\b|\bwhether\b"
)
_DOCUMENT = re.compile(r"\b(?:manuals?|documents?|procedures?|guides?|described|covered|written|chapters?|sections?)\b")
_CONDITION = re.compile(
    r"\bwhen\b|\bfrom (?:which|what)\b|\bat (?:which|what) (?:point|time)\b|\bhow soon\b|\bunder what\b"
)
_CAUSE = re.compile(
    r"\bwhy\b|\bcauses?d?\b|\breasons?\b|\bwhat (?:leads|makes)\b|\bdue to\b|\bwhat is wrong\b|\bdone wrong\b"
    r"|\bwent wrong\b|\bhow come\b"
    r"|\bwhat (?:was|is|lies) behind\b|\bwhat happened\b|\bwhere does\b[^?]*\bcome from\b"
)
_PART = re.compile(
    r"\b(?:part|order|spare|type|article)[ -]?(?:number|no)?\b|\bwhich (?:part|tool|gauge|grease|oil|seal|bearing"
    r"|filter|"
    r"nozzle|hose|pump|valve|key|gasket|lubricant|element|standard|fuse|sensor|switch|wrench|crane|fluid|electrode)\b"
    r"|\bwhat (?:grease|oil|tool|seal|lubricant|fluid|filter|part|gas|type|kind)\b|\bwhich one\b"
    r"|\b(?:what|which)\b[^?]{0,40}\border\b"
)
_MEANING = re.compile(
    r"\bmean(?:s|ing)?\b|\bstands? for\b|\bwhat is (?:code|error|alarm|fault)\b|\bindicat\w+\b|\bpoints? to\b"
)
_SHOWN = re.compile(
    r"\b(?:this|these|here|shown|show|picture|image|photo|frame|camera|see|seen|visible|look(?:s|ing)?)\b"
)


_ASKING = (
    r"(?:(?:at|to|from|by|with|in|on|of|for|after|under) )?(?:what|which|who|whom|whose|why|how|when|where)\b"
    r"|(?:is|are|was|were|do|does|did|can|could|may|must|should|shall|will|would|has|have|had) "
)
_PART_END = re.compile(rf"(?<![.?!;])[.?!;]+ |(?:, ?| )(?:and|or|but) (?={_ASKING})|, (?={_ASKING})", re.IGNORECASE)
_ASKS = re.compile(rf"^(?:{_ASKING})|\b(?:what|which|why|how|when|where|who)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class QuestionKind:
    """What a question asks for. `units` are unit classes ("torque"); empty with `quantity` set means any.

    `steps`: a procedure itself, not a value in it.
    """

    quantity: bool
    units: frozenset[str]
    procedure: bool
    cause: bool
    part: bool
    meaning: bool
    identifiers: frozenset[str]
    words: frozenset[str]
    shown: bool
    ruling: bool = False
    condition: bool = False
    document: bool = False
    steps: bool = False

    @property
    def says(self) -> frozenset[str]:
        """The statements that answer it, as `lineside.answering.traits` names them; quantities and parts left out."""
        wanted = {
            "cause": self.cause,
            "meaning": self.meaning,
            "action": self.procedure,
            "ruling": self.ruling,
            "condition": self.condition,
        }
        return frozenset(statement for statement, asked in wanted.items() if asked)


@lru_cache(maxsize=2_048)
def read_question(text: str) -> QuestionKind:
    """The kind of a question, by its wording; of one that asks several things, all that it asks for."""
    whole = _read(text)
    parts = [_read(part) for part in question_parts(text)]
    if not parts:
        return whole
    return replace(
        whole,
        quantity=whole.quantity or any(part.quantity for part in parts),
        units=whole.units.union(*(part.units for part in parts)),
        procedure=whole.procedure or any(part.procedure for part in parts),
        steps=any(part.steps for part in parts),
    )


def _read(text: str) -> QuestionKind:
    lower = " ".join(text.casefold().split())
    tokens = state(text).tokens
    units = frozenset(kind for pattern, kinds in _UNITS if pattern.search(lower) for kind in kinds)
    quantity = bool(_QUANTITY.search(lower)) or (bool(units) and not _VERBAL.search(lower))
    timed = re.search(r"\bhow (?:often|long|soon)\b|\binterval", lower)
    procedure = bool(_PROCEDURE.search(lower)) and not timed
    quantity = quantity or bool(timed)
    return QuestionKind(
        quantity=quantity,
        units=frozenset({"time"}) if timed else units & {"money"} or units if quantity else frozenset(),
        procedure=procedure,
        steps=procedure and not quantity,
        cause=bool(_CAUSE.search(lower)),
        part=bool(_PART.search(lower)),
        meaning=bool(_MEANING.search(lower)),
        identifiers=frozenset(t.key for t in tokens if t.kind == "identifier"),
        words=frozenset(t.key for t in tokens if t.kind in ("word", "polar", "framing", "quantity")),
        shown=bool(_SHOWN.search(lower)),
        ruling=bool(_RULING.search(lower)),
        condition=bool(_CONDITION.search(lower)),
        document=bool(_DOCUMENT.search(lower)),
    )


@lru_cache(maxsize=2_048)
def question_parts(text: str) -> tuple[str, ...]:
    """The things that a question asks one after the other; () where it asks one.

    "What causes this and how deep may it be?" asks two; what is only told ("P-E31 is shown. What now?") is no part.
    """
    found = tuple(part for part in _PART_END.split(" ".join(text.split())) if part and _ASKS.search(part))
    return found if len(found) > 1 else ()
