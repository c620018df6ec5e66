"""Numbers with their units as they are written in manuals: what "45.5 Nm" and "10 to 20 bar" say."""

from __future__ import annotations

import re
from dataclasses import dataclass

# class of a unit -> canonical unit -> other spellings, all folded (lower case, NFKC: "m³" is "m3").
# Units are never converted: a manual that says 5 bar does not, word for word, say 0.5 MPa.
_UNITS: dict[str, dict[str, str]] = {
    "torque": {"nm": "n·m n.m newton-metres newton-meters", "knm": "kn·m", "mnm": "mn·m", "lb·ft": "lbft ft·lb lb-ft"},
    "pressure": {
        "bar": "bars bar(g) barg",
        "mbar": "millibar millibars",
        "pa": "pascal pascals",
        "kpa": "",
        "mpa": "n/mm2",
        "psi": "",
    },
    "temperature": {
        "°c": "degc deg.c celsius degrees degree deg centigrade",
        "k": "kelvin",
        "°f": "degf fahrenheit",
        "°c/h": "k/h",
        "°c/min": "k/min",
    },
    "time": {
        "h": "hr hrs hour hours",
        "min": "minute minutes mins",
        "s": "sec secs second seconds",
        "ms": "millisecond milliseconds",
        "day": "days",
        "week": "weeks",
        "month": "months",
        "year": "years yr yrs",
        "shift": "shifts",
    },
    "length": {
        "mm": "millimetre millimetres millimeter millimeters",
        "cm": "centimetre centimetres centimeter centimeters",
        "m": "metre metres meter meters",
        "km": "kilometre kilometres",
        "um": "μm micron microns micrometre micrometres micrometer micrometers",
        "inch": "inches",
        "ft": "feet",
    },
    "area": {"mm2": "", "cm2": "", "m2": ""},
    "speed": {"m/s": "", "mm/s": "", "m/min": "mpm", "mm/min": "", "km/h": ""},
    "rotation": {"rpm": "1/min min-1 r/min rev/min u/min", "rad/s": ""},
    "flow": {
        "l/min": "lpm litres/min l/m",
        "m3/h": "m3/hr cbm/h",
        "l/h": "",
        "l/s": "",
        "ml/min": "",
        "kg/h": "",
        "m3/min": "",
    },
    "volume": {"l": "litre litres liter liters", "ml": "millilitre millilitres", "m3": "", "cm3": "cc"},
    "mass": {
        "kg": "kilogram kilograms",
        "g": "gram grams",
        "mg": "",
        "t": "tonne tonnes ton tons",
        "g/m2": "",
        "kg/m3": "",
        "mg/kg": "",
        "mg/l": "",
    },
    "force": {"n": "newton newtons", "kn": "kilonewton kilonewtons", "mn": "meganewton"},
    "power": {"w": "watt watts", "kw": "kilowatt kilowatts", "mw": "megawatt megawatts", "kva": "", "mva": ""},
    "energy": {"j": "joule joules", "kj": "", "kwh": "", "mj": "", "kj/kg": ""},
    "voltage": {"v": "volt volts vdc vac v/dc v/ac", "kv": "", "mv": "millivolt millivolts"},
    "current": {"a": "amp amps ampere amperes", "ma": "milliamp milliamps", "ka": ""},
    "resistance": {"ohm": "ω ohms", "kohm": "kω kiloohm kiloohms", "mohm": "mω megaohm megaohms megohm megohms"},
    "frequency": {"hz": "hertz", "khz": "", "mhz": ""},
    "angle": {"°": ""},
    "share": {"%": "percent pct", "ppm": "", "vol%": "vol.-%", "% rh": ""},
    "viscosity": {"cst": "mm2/s", "mpas": "mpa·s"},
    "money": {"eur": "€ euro euros", "usd": "$ dollar dollars", "gbp": "£ pounds"},
    "sound": {"db": "dba db(a) decibel decibels"},
    "conductivity": {"us/cm": "μs/cm"},
    "hardness": {"hrc": "", "hv": "", "hb": "", "shore": ""},
    "vibration": {"mm/s rms": "", "g rms": ""},
}

UNITS: dict[str, str] = {}
"""Every spelling of a unit -> its canonical spelling."""
UNIT_CLASSES: dict[str, str] = {}
"""Canonical unit -> what it measures."""
for _class, _members in _UNITS.items():
    for _unit, _spellings in _members.items():
        UNIT_CLASSES[_unit] = _class
        for _spelling in (_unit, *_spellings.split()):
            UNITS[_spelling] = _unit

NUMBER_WORDS = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen twenty".split()
    )
} | {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}

_NUMBER = r"[1-9]\d{0,2}(?:[ ,'\u202f]\d{3})+(?!\d)(?:\.\d+)?|\d+(?:[.,]\d+)?"
_WORDS = "|".join(sorted(NUMBER_WORDS, key=len, reverse=True))
_UNIT = "|".join(re.escape(u) for u in sorted(UNITS, key=len, reverse=True))
_UNIT_AFTER = (
    r"(?:\s?-?(?P<{0}>(?:degrees?\s(?:celsius|centigrade|c)|per\scent|n\sm|"
    rf"(?:{_UNIT})(?:/(?:{_UNIT}))?)(?![\w°%]|[/·]\w)))"
)
_HIGH = rf"(?:±\s?)?(?:{_NUMBER}|(?:{_WORDS})\b)"

QUANTITY = re.compile(
    rf"(?P<low>(?:±\s?|[-+](?=\d))?(?:{_NUMBER})|\b(?:{_WORDS})\b){_UNIT_AFTER.format('low_unit')}?"
    rf"(?:\s?(?:-|\.\.\.|…|\bto\b|~)\s?(?P<high>{_HIGH})(?![\w]|[-/:.,]\d){_UNIT_AFTER.format('high_unit')}?)?"
    r"(?![^\W_]|[-/:.,]\d|-[^\W_]*\d)",
    re.IGNORECASE,
)
"""A number or a range with its unit, on NFKC text with plain hyphens; read with `read_quantity`."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value or a range (`low` < `high`) in canonical spelling of its unit; unit "" for a bare number."""

    low: float
    high: float
    unit: str
    signed: str = ""

    @property
    def kind(self) -> str:
        """What is measured: "pressure", "torque" ...; "" for a bare number."""
        return UNIT_CLASSES.get(self.unit, "")


def canonical_unit(text: str) -> str | None:
    """Canonical spelling of a unit, None where it is not one."""
    text = text.strip().casefold()
    if text.startswith("degree"):
        return "°c"
    known = {"per cent": "%", "n m": "nm"}.get(text) or UNITS.get(text)
    if known is None and "/" in text:
        parts = [UNITS.get(part) for part in text.split("/")]
        return None if None in parts else "/".join(str(part) for part in parts)
    return known


def value_of(text: str) -> float:
    """The number that a literal or number word stands for; commas and spaces group thousands or mark decimals."""
    text = text.strip().lstrip("+±").strip().casefold()
    if text in NUMBER_WORDS:
        return float(NUMBER_WORDS[text])
    negative = text.startswith("-")
    text = text.lstrip("- ")
    if re.fullmatch(r"[1-9]\d{0,2}(?:[ ,'\u202f]\d{3})+(?:\.\d+)?", text):
        text = re.sub(r"[ ,'\u202f]", "", text)
    value = float(text.replace(",", "."))
    return -value if negative else value


def read_quantity(match: re.Match[str]) -> Quantity:
    """The quantity of a match of `QUANTITY`."""
    literal = match["low"].strip()
    low = value_of(literal)
    signed = "±" if literal.startswith("±") else ""
    first, last = (canonical_unit(match[name] or "") or "" for name in ("low_unit", "high_unit"))
    # "between 40 bar and 55 °C" is no range of either unit.
    unit = f"{first}..{last}" if first and last and first != last else last or first
    high = value_of(match["high"]) if match["high"] else low
    return Quantity(low, high, unit, signed)
