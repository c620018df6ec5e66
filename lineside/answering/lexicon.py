"""Words that turn a statement around: negations, opposites, bounds, conditions; and words that add nothing to one."""

from __future__ import annotations

from lineside.analysis import stem

NEGATIONS = {
    **dict.fromkeys("not no never none nothing neither nor nobody nowhere".split(), "!not"),
    "without": "!without",
    "non": "!non",
    "hardly": "!hardly",
    **dict.fromkeys("forbidden forbid forbids prohibited prohibit prohibits".split(), "!forbid"),
    **dict.fromkeys("avoid avoids avoided avoiding".split(), "!avoid"),
    **dict.fromkeys("prevent prevents prevented preventing".split(), "!prevent"),
    **dict.fromkeys("refrain refrains".split(), "!refrain"),
    **dict.fromkeys("fails fail failed failing".split(), "!fail"),
    **dict.fromkeys("lack lacks lacking missing absent".split(), "!lack"),
    **dict.fromkeys("wrong wrongly incorrect incorrectly mistake mistaken".split(), "!wrong"),
}
"""Words that deny what stands in their scope -> one key per meaning."""

RESTRICTIONS = frozenset("unless except until till only instead rather excluding".split())
"""Words without which a sentence says more than it said."""
SENTENCE_WIDE = frozenset({"!unless", "!except", "!excluding"})
"""Restrictions that hold for the whole sentence, not for their clause alone."""

SUBORDINATORS = frozenset(
    "if when whenever while whilst before after once because since unless until where whereas although though whether "
    "as otherwise so which".split()
)
CONDITIONALS = frozenset("if when whenever unless whether once".split())
GLUE = SUBORDINATORS - {"before", "after", "because", "unless", "until"}
"""Words that join clauses and are no content of their own."""
CONJUNCTIONS = frozenset("and but then".split())
CONDITION_MARKERS = frozenset("if when whenever unless whether once for on at after during in upon case should".split())
"""Words that keep a condition a condition: "at E-452, check ..." for "if E-452 is shown, check ..."."""

_OPPOSITE_ACTIONS = """
open close shut|start begin stop halt end finish|increase decrease reduce|raise lower|rise fall drop
tighten loosen slacken|enable disable|connect disconnect|lock unlock|engage disengage|activate deactivate|insert remove
install remove|add remove|attach detach|fill drain empty|heat cool|accept reject|allow forbid|push pull|advance retract
extend retract|couple uncouple|mount dismount|assemble disassemble|energise deenergise|pressurise depressurise
"""
_OPPOSITE_WORDS = """
high low|upper lower|above below|over under|before after|maximum minimum|more less|most least|greater smaller
higher lower|left right|top bottom|front rear|inner outer|inside outside|internal external|on off|up down
upstream downstream|clockwise anticlockwise counterclockwise counter|full empty|wet dry|hot cold|warm cool|fast slow
quick slow|quickly slowly|long short|longer shorter|large small|thick thin|new old worn|first last|inlet outlet
input output|suction discharge|forward reverse backward|forwards backwards|dirty|primary secondary
"early late|earlier later|earliest latest|safe dangerous unsafe|correct incorrect|normal abnormal
always rarely sometimes usually seldom often|all some|every some|both either|permitted forbidden|radial axial
warning trip|permanent temporary|horizontal vertical|parallel series|odd even|entry exit|static dynamic|standby duty
same different|weekly daily monthly yearly annually quarterly hourly|twice once
"""


def _groups(table: str, prefix: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, group in enumerate(table.replace("\n", "|").split("|")):
        for word in group.split():
            found.setdefault(stem(word), f"{prefix}{number}")
    return found


ACTIONS = frozenset(_groups(_OPPOSITE_ACTIONS, "a"))
"""Stems of verbs with an opposite; they may change place with their object ("tighten the bolts", "bolts tightened")."""
POLAR = _groups(_OPPOSITE_WORDS, "w") | _groups(_OPPOSITE_ACTIONS, "a")
"""Stem of a word that has an opposite -> name of its group."""
RELATIONS = frozenset(stem(w) for w in "because cause before after than through lead point".split())
"""Stems of words whose two sides must not change places."""

IMPERATIVES = frozenset(
    "adjust align always apply bleed block bring call change check choose clean clear close compare confirm "
    "connect cool cover cut decrease disconnect do drag drain drive ensure enter feed fill find fit flush get "
    "give grease grind heat hold increase inform insert inspect install isolate keep leave let lift lock look "
    "loosen lower make mark measure mount move never note open pour prepare press protect pull pump purge push "
    "put raise read record reduce refill release remove renew repeat replace report reset rinse rotate run sample "
    "screw secure select send set shift shut slow start stay stop store swipe switch take tap test tighten touch "
    "track try turn use vent verify wait warm wash wear weld wind wipe write".split()
)
"""First words of instructions."""

_SYNONYMS = """
max maximal=maximum|min minimal=minimum|begin began=start|halt=stop|shut=close|exchange renew=replace
inspect examine=check|opened=open|rose risen=rise|fell fallen=fall|temp=temperature|happen=occur|per=each
permit allow=allow|forbid prohibit=forbid|immediately instantly=immediately|broke broken=break|worn wear=wear
led lead=lead|held hold=hold|kept keep=keep|shown show=show|driven drive=drive|torn tear=tear|bent bend=bend
annual annually yearly=yearly|vdc=v|all every=each|centigrade=celsius|because due=cause
porous porosity=pore|misaligned misalignment=misalign
"""
SYNONYMS: dict[str, str] = {}
"""Stem -> the stem that stands for all words of the same meaning; only words that may be exchanged in any manual."""
for _group in _SYNONYMS.replace("\n", "|").split("|"):
    if _group:
        _words, _, _head = _group.partition("=")
        for _word in _words.split():
            SYNONYMS[stem(_word)] = stem(_head)

_FRAMING = """
manual guide document note notes state states according say says describe indicate indicated mean means refer following
follow ensure make sure need needed necessary must should shall may might please make answer step order carry perform
information given give provide provided based mention mentioned specify specified recommend recommended require required
therefore thus however additionally furthermore also important value use used using reason
show shown display displayed appear appears occur occurs code error alarm fault
"""
FRAMING = frozenset(stem(word) for word in _FRAMING.split())
"""Stems that a claim may add without saying anything about the plant."""

_NEGATED = r"(?:(?:must|may|should|shall|do|does|can|to)\s+)?(?:not|never)\s+(?:be\s+)?"
BOUNDS_BEFORE = (
    (
        "≤",
        rf"(?:no|not)\s+(?:more|greater|higher|longer|larger|later)\s+than|{_NEGATED}(?:exceed(?:s|ed|ing)?|be\s+above|above|over)"
        r"|at\s+(?:the\s+)?most|up\s+to(?:\s+and\s+including)?|a?\s?maximum\s+of|max\.?|within|<=",
    ),
    (
        "≥",
        rf"(?:no|not)\s+(?:less|fewer|lower|smaller|shorter)\s+than|{_NEGATED}(?:be\s+below|below|under|fall\s+below)"
        r"|at\s+(?:the\s+)?least|a?\s?minimum\s+of|min\.?|>=",
    ),
    (">", r"above|over|(?:more|greater|higher|longer|larger|wider|deeper)\s+than|exceed(?:s|ed|ing)?|beyond"),
    ("<", r"below|under|(?:less|fewer|lower|smaller|shorter)\s+than"),
    ("≈", r"about|approximately|approx\.?|around|roughly|circa|ca\."),
)
"""Sign -> what is written for it before a number."""
BOUNDS_AFTER = (
    ("least", r"or\s+(?:more|higher|above|longer|greater)|and\s+(?:more|above|over)|at\s+least"),
    ("most", r"or\s+(?:less|lower|below|shorter|fewer)|and\s+(?:less|below|under)|at\s+most"),
)
