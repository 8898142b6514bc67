"""JSON Schemas of Python types that say what pydantic's validators accept, no more.

pydantic's own JSON Schemas are made for people who read them: a Decimal is any string, `format` covers more than the
parser behind it does, a key of an `int` dictionary is any name. Here every text that satisfies the schema is one that
the validator accepts, so what pydantic says loosely is said by a pattern or a bound:

- dates, times and durations, with and without time zones, as ISO 8601 in the part that pydantic reads; UUIDs by
  version; base64; IPv4; http and other URLs with a named host
- floats round: an open bound becomes the next double, and where infinity is refused the largest doubles bound them;
  multiples are bounded where pydantic's test of them, by doubles, begins to fail
- Decimals are JSON numbers with bounds and digits; every value has such a spelling that a double carries to 15 digits
- the tag of a discriminated union is required, and the members of the union exclude each other by it
- an object that ignores further members gets none, so that nothing is written that is thrown away
- keys of dictionaries are written as their type is read

What has no schema (bounds of dates, "in the past") is a gap; validators in Python code are noted: `parse` runs them.

This file imports pydantic: import it within functions.
"""

from __future__ import annotations

import sys
from decimal import Decimal
from fractions import Fraction
from math import inf, nextafter
from typing import TYPE_CHECKING, Any, cast

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from .json_numbers import decimal_of, scaled

if TYPE_CHECKING:
    from pydantic_core import core_schema as core

__all__ = ["ValidatedJsonSchema"]

# RFC 3339, section 5.6, without year 0 and leap seconds, which Python does not have.
_YEAR = r"(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
_LEAP_YEAR = r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_MONTH_DAY = r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
_DATE = rf"(?:{_YEAR}-{_MONTH_DAY}|{_LEAP_YEAR}-02-29)"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
_OFFSET = r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
_OFFSETS = {"aware": _OFFSET, "naive": "", None: f"{_OFFSET}?"}

# ISO 8601, section 5.5.2; at most 99,999,999 days, which a timedelta holds with either sign.
_SHORT_TIME = r"T(?:[0-9]{1,2}H(?:[0-9]{1,2}M)?(?:SECONDS)?|[0-9]{1,2}M(?:SECONDS)?|SECONDS)".replace(
    "SECONDS", r"[0-9]{1,2}(?:\.[0-9]{1,6})?S"
)
_DURATION = rf"-?P(?:[0-9]{{1,8}}D(?:{_SHORT_TIME})?|{_SHORT_TIME}|[0-9]{{1,7}}W)"

_HEX = "[0-9A-Fa-f]"
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
# No digit first, since hosts that end in a number are addresses; no "--", which is Punycode's.
_LABEL = "[a-z](?:-?[a-z0-9]){0,14}"
_HOST = rf"{_LABEL}(?:\.{_LABEL}){{0,3}}(?::[1-9][0-9]{{0,3}})?"
_LONGEST_HOST = 4 * 29 + 3 + 5


def _base64(last: str) -> str:
    return rf"(?:[A-Za-z0-9{last}]{{4}})*(?:[A-Za-z0-9{last}]{{2}}==|[A-Za-z0-9{last}]{{3}}=)?"


def _uuid(version: str) -> str:
    return rf"{_HEX}{{8}}-{_HEX}{{4}}-{version}{_HEX}{{3}}-[89ABab]{_HEX}{{3}}-{_HEX}{{12}}"


# Of pydantic's formats: the pattern of what is read, or None where any string is.
_FORMATS: dict[str, str | None] = {
    "uuid": rf"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}",
    **{f"uuid{version}": _uuid(str(version)) for version in range(1, 9)},
    "base64": _base64("+/"),
    "base64url": _base64("_-"),
    "ipv4": rf"{_BYTE}\.{_BYTE}\.{_BYTE}\.{_BYTE}",
    "binary": None,
    "password": None,
    "path": None,
}
_INTEGER_KEY = r"^(?:0|-?[1-9][0-9]*)$"
_LARGEST = sys.float_info.max
# Characters after a URL's host that are counted, and so states.
_LONGEST_URL = 800


class ValidatedJsonSchema(GenerateJsonSchema):
    """The generator. gaps : (what, reason) that the schema leaves out. notes : what only `parse` decides."""

    def __init__(self, by_alias: bool = True, ref_template: str = "#/$defs/{model}", **options: Any) -> None:
        super().__init__(by_alias, ref_template, **options)
        self.gaps: list[tuple[str, str]] = []
        self.notes: list[str] = []

    def generate_inner(self, schema: Any) -> JsonSchemaValue:
        """As the base class does, with patterns for formats."""
        made = super().generate_inner(schema)
        named = made.get("format")
        if made.get("type") != "string" or named not in _FORMATS:
            return made
        rest = {keyword: value for keyword, value in made.items() if keyword != "format"}
        pattern = _FORMATS[cast(str, named)]
        return rest if pattern is None else {**rest, "pattern": f"^{pattern}$"}

    # -------------------------------------------------------------------------------------------- numbers

    def float_schema(self, schema: core.FloatSchema) -> JsonSchemaValue:
        """Numbers whose nearest double is admitted."""
        low, high = schema.get("ge"), schema.get("le")
        if schema.get("gt") is not None:
            low = max(-inf if low is None else low, nextafter(schema["gt"], inf))
        if schema.get("lt") is not None:
            high = min(inf if high is None else high, nextafter(schema["lt"], -inf))
        if schema.get("allow_inf_nan", self._config.allow_inf_nan) is False:
            low = max(-_LARGEST if low is None else low, -_LARGEST)
            high = min(_LARGEST if high is None else high, _LARGEST)
        divisor = schema.get("multiple_of")
        if divisor is not None:
            most = _largest_multiple(divisor)
            self.notes.append(f"multiples of {divisor} are at most {most:g}: beyond, pydantic's test of doubles fails")
            low, high = max(-most if low is None else low, -most), min(most if high is None else high, most)
        made: JsonSchemaValue = {"type": "number", "minimum": low, "maximum": high, "multipleOf": divisor}
        return {key: value for key, value in made.items() if value is not None and value not in (inf, -inf)}

    def decimal_schema(self, schema: core.DecimalSchema) -> JsonSchemaValue:
        """JSON numbers: what a Decimal of a double's shortest spelling satisfies."""
        self.notes.append("Decimals are written as JSON numbers in the range of doubles, not as strings")
        lows = [_least_double(schema[key], key == "gt") for key in ("ge", "gt") if schema.get(key) is not None]
        highs = [-_least_double(-schema[key], key == "lt") for key in ("le", "lt") if schema.get(key) is not None]
        most, divisor = _LARGEST, schema.get("multiple_of")
        if divisor is not None:
            n, tens = scaled(decimal_of(divisor))
            # The remainder is taken with 28 digits, of a double's 15 where there is a fraction.
            most = float(10 ** (15 + tens) if tens < 0 else n * 10 ** (tens + 27))
        made: JsonSchemaValue = {"type": "number", "minimum": max([*lows, -most]), "maximum": min([*highs, most])}
        if divisor is not None:
            made["multipleOf"] = decimal_of(divisor)
        digits, places = schema.get("max_digits"), schema.get("decimal_places")
        if digits is None:
            return made if places is None else {"allOf": [made, _digits(None, places)]}
        # Digits are shared by the whole part and the fraction, unless the fraction's are bounded.
        shares = list(range(digits + 1)) if places is None else [places]
        return {**made, "anyOf": [_digits(max(digits - share, 0), min(share, digits)) for share in shares]}

    def complex_schema(self, schema: core.ComplexSchema) -> JsonSchemaValue:
        part = r"[0-9]{1,15}(?:\.[0-9]{1,15})?"
        return {"type": "string", "pattern": f"^-?{part}(?:[+-]{part}j)?$"}

    # -------------------------------------------------------------------------------------------- strings

    def str_schema(self, schema: core.StringSchema) -> JsonSchemaValue:
        """Lengths and patterns are those of the value after white space is stripped: nothing to strip is written."""
        made = super().str_schema(schema)
        strips = schema.get("strip_whitespace", self._config.str_strip_whitespace)
        if strips and not {"minLength", "pattern"}.isdisjoint(made):
            made = {**made, "allOf": [{"pattern": r"^(?:\S(?:[\s\S]*\S)?)?$"}]}
        return made

    def bytes_schema(self, schema: core.BytesSchema) -> JsonSchemaValue:
        """Any string, as UTF-8; where bytes are counted, ASCII; or the encoding that the model is configured for."""
        encoding = getattr(self._config, "val_json_bytes", "utf8")  # older versions have no other
        least, most = schema.get("min_length") or 0, schema.get("max_length")
        if encoding == "utf8":
            if least == 0 and most is None:
                return {"type": "string"}
            self.notes.append("bytes of a bounded number are ASCII")
            return {"type": "string", "pattern": _repeated(r"[\x00-\x7f]", least, most)}
        if least or most is not None:
            self.gaps.append(("the length of encoded bytes", "it is not that of their spelling"))
        return {"type": "string", "pattern": f"^(?:{_HEX}{{2}})*$" if encoding == "hex" else f"^{_base64('_-')}$"}

    def url_schema(self, schema: core.UrlSchema) -> JsonSchemaValue:
        """URLs with a host of lower-case labels, then ASCII letters and digits that need no escape."""
        schemes = schema.get("allowed_schemes") or ["http", "https", "ftp", "ws", "wss"]
        most = schema.get("max_length")
        room = _LONGEST_URL if most is None else most - max(map(len, schemes)) - _LONGEST_HOST - len(":///?#")
        if room < 0:
            self.gaps.append((f"the length of a URL of at most {most}", "its parts share it"))
        self.notes.append("URLs have a host of lower-case labels and a path and a query without escapes")
        path, query = min(max(room, 0), _LONGEST_URL) // 2, min(max(room, 0), _LONGEST_URL) // 4
        after = rf"(?:/[A-Za-z0-9._~/-]{{0,{path}}})?(?:\?[A-Za-z0-9._~=&-]{{0,{query}}})?"
        after += rf"(?:#[A-Za-z0-9._~-]{{0,{query}}})?"
        return {"type": "string", "pattern": f"^(?:{'|'.join(schemes)})://{_HOST}{after}$"}

    # -------------------------------------------------------------------------------------------- times

    def date_schema(self, schema: core.DateSchema) -> JsonSchemaValue:
        return self._moment(schema, "a date", f"^{_DATE}$")

    def time_schema(self, schema: core.TimeSchema) -> JsonSchemaValue:
        offset = _OFFSETS.get(cast(Any, schema.get("tz_constraint")), _OFFSET)
        return self._moment(schema, "a time", f"^{_TIME}{offset}$")

    def datetime_schema(self, schema: core.DatetimeSchema) -> JsonSchemaValue:
        offset = _OFFSETS.get(cast(Any, schema.get("tz_constraint")), _OFFSET)
        return self._moment(schema, "a datetime", f"^{_DATE}T{_TIME}{offset}$")

    def timedelta_schema(self, schema: core.TimedeltaSchema) -> JsonSchemaValue:
        self.notes.append("durations are ISO 8601 in days, hours, minutes and seconds, or in weeks, below 10**8 days")
        return self._moment(schema, "a timedelta", f"^{_DURATION}$")

    def _moment(self, schema: Any, what: str, pattern: str) -> JsonSchemaValue:
        if any(schema.get(key) is not None for key in ("le", "ge", "lt", "gt")):
            self.gaps.append((f"a bound of {what}", "times are not compared while they are written"))
        if schema.get("now_op") is not None:
            self.gaps.append((f"that {what} is in the {schema['now_op']}", "the clock is not part of a grammar"))
        if isinstance(schema.get("tz_constraint"), int):
            self.gaps.append((f"the offset of {what}", "only whether there is one is enforced"))
        return {"type": "string", "pattern": pattern}

    # -------------------------------------------------------------------------------------------- containers

    def dict_schema(self, schema: core.DictSchema) -> JsonSchemaValue:
        """Members of any name that the keys' type reads; integers as they are written canonically, so once each."""
        made = super().dict_schema(schema)
        patterns = made.pop("patternProperties", {})  # names that match none would be free
        if patterns:
            made["additionalProperties"] = next(iter(patterns.values()))
        keys = schema.get("keys_schema")
        read = {} if keys is None else self.generate_inner(keys)
        if read == {"type": "integer"}:
            return {**made, "propertyNames": {"pattern": _INTEGER_KEY}}
        if read and read.get("type") != "string" and {"$ref", "enum", "const"}.isdisjoint(read):
            self.gaps.append((f"keys of a dictionary like {read}", "names of members are strings"))
        return made if read in ({}, {"type": "string"}) else {**made, "propertyNames": read}

    def tagged_union_schema(self, schema: core.TaggedUnionSchema) -> JsonSchemaValue:
        """The members exclude each other by their tags, so any one is exactly one."""
        made = super().tagged_union_schema(schema)
        members = made.pop("oneOf")
        by = schema["discriminator"]
        tag = made.pop("discriminator", {}).get("propertyName", by if isinstance(by, str) else None)
        if tag is None:
            self.notes.append("a discriminator in Python code chooses among the members of a union in parse")
            return {**made, "anyOf": members}
        return {**made, "anyOf": [{**m, "required": [*m.get("required", ()), tag]} for m in members]}

    def model_schema(self, schema: core.ModelSchema) -> JsonSchemaValue:
        return _closed(super().model_schema(schema))

    def dataclass_schema(self, schema: core.DataclassSchema) -> JsonSchemaValue:
        return _closed(super().dataclass_schema(schema))

    def typed_dict_schema(self, schema: core.TypedDictSchema) -> JsonSchemaValue:
        return _closed(super().typed_dict_schema(schema))

    # -------------------------------------------------------------------------------------------- code

    def function_before_schema(self, schema: core.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        return self._noted(schema, super().function_before_schema(schema))

    def function_after_schema(self, schema: core.AfterValidatorFunctionSchema) -> JsonSchemaValue:
        return self._noted(schema, super().function_after_schema(schema))

    def function_wrap_schema(self, schema: core.WrapValidatorFunctionSchema) -> JsonSchemaValue:
        return self._noted(schema, super().function_wrap_schema(schema))

    def _noted(self, schema: Any, made: JsonSchemaValue) -> JsonSchemaValue:
        function = schema["function"]["function"]
        module = getattr(function, "__module__", None) or ""
        if module.partition(".")[0] not in ("pydantic", "ipaddress", "pathlib", "re"):
            name = f"{module}.{getattr(function, '__qualname__', repr(function))}"
            self.notes.append(f"{name} is Python code: parse runs it, the grammar does not know it")
        return made


def _closed(made: JsonSchemaValue) -> JsonSchemaValue:
    """An object without members that nobody reads."""
    return {"additionalProperties": False, **made} if made.get("type") == "object" else made


def _digits(whole: int | None, places: int) -> JsonSchemaValue:
    """Numbers of at most so many digits before and after the point, once rounded to a double."""
    least = Decimal((0, (1,), -places))
    made: JsonSchemaValue = {"multipleOf": least}
    if whole is None:
        return made
    most = -_least_double(Decimal((1, (1,), whole)), True)
    if whole == 0:  # pydantic counts the digit of `0`, but not of `0.5`
        return {"anyOf": [{**made, "minimum": least, "maximum": most}, {**made, "minimum": -most, "maximum": -least}]}
    return {**made, "minimum": -most, "maximum": most}


def _largest_multiple(divisor: float) -> float:
    """Up to where pydantic's test of doubles, which allows for an error of 1e-9, holds for all decimal multiples."""
    written = Fraction(repr(divisor))
    return 2**53 / written.denominator if written == Fraction(divisor) else 2e6


def _least_double(bound: Decimal, is_open: bool) -> float:
    """The least double whose shortest spelling is at or above a bound (above, if open)."""
    bound = decimal_of(bound)
    double = max(float(bound), -_LARGEST)
    while Decimal(repr(double)) < bound or (is_open and Decimal(repr(double)) == bound):
        double = nextafter(double, inf)
    return double


def _repeated(character: str, least: int, most: int | None) -> str:
    return f"^{character}{{{least},{'' if most is None else most}}}$"
