"""Is this JSON text valid under this JSON schema? An oracle that shares no code with bridle.

Idea: the `jsonschema` package judges, and what it is loose in is replaced, keyword by keyword:

- numbers are Decimals, in the schema and in the text: 4.02 is a multiple of 0.01, 1.0 is an integer, 1e400 is finite;
- equality (`const`, `enum`, `uniqueItems`) is that of JSON values: true is not 1, 1.0 is 1;
- `pattern` and `patternProperties` are ECMA-262, by the engine `regress`: with the flag `u`, or, where a pattern is
  malformed with it (`[\\w-.]`), as annex B reads it;
- `unevaluatedProperties` and `unevaluatedItems` see what the specification says that they see;
- `format` asserts on demand, in every draft, by judge_formats.py.

A text with a member twice, a lone surrogate or anything else that is not JSON (RFC 8259, in UTF-8) is invalid.

Where bridle reads what a draft leaves open, so does the judge: `dependencies` asserts in all drafts; an array under
`items` is a tuple in 2020-12, too, with `additionalItems` beside it; `required: true` and `type: "any"` of draft 3 say
nothing; a `$schema` that names no draft is 2020-12, and draft 3 is read as draft 4. In draft 4, too, 1.0 is an integer.
Nothing is fetched: a reference that leads out of the schema and the metaschemas, as all else that has no answer, is
`Undecided`.

Cost: 0.1 ms to make a judge, 20 us and up for a text.
Part of the oracle: imports nothing from bridle. Tested by test_judge.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

import jsonschema.validators
import regress
from jsonschema.exceptions import ValidationError
from jsonschema_specifications import REGISTRY
from referencing import Registry, Specification
from referencing.jsonschema import DRAFT202012, lookup_recursive_ref, specification_with

from judge_formats import FORMATS

__all__ = ["Judge", "Undecided", "judge", "parse", "registry_of"]

_DRAFTS = {
    "draft-03": jsonschema.Draft4Validator,
    "draft-04": jsonschema.Draft4Validator,
    "draft-06": jsonschema.Draft6Validator,
    "draft-07": jsonschema.Draft7Validator,
    "2019-09": jsonschema.Draft201909Validator,
    "2020-12": jsonschema.Draft202012Validator,
}
_SURROGATE = re.compile("[\ud800-\udfff]")


class Undecided(Exception):
    """A question without an answer: a malformed schema, a reference that leads out of it, endless recursion."""


# ------------------------------------------------------------------------------------------------ values


def parse(text: str | bytes) -> Any:
    """The value of a JSON text, numbers as Decimals. ValueError if it is none that bridle may write."""
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    value = json.loads(
        text, parse_float=_decimal, parse_int=_decimal, parse_constant=_no_number, object_pairs_hook=_members
    )
    # A pair of escapes is one character; one that is alone is left as it is.
    if "\\u" in text or _SURROGATE.search(text):
        _refuse_surrogates(value)
    return value


def _decimal(spelling: str) -> Decimal:
    try:
        return Decimal(spelling)
    except InvalidOperation:
        raise Undecided(f"the exponent of {spelling[:40]}") from None


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a member occurs twice")
    return found


def _refuse_surrogates(value: Any) -> None:
    if isinstance(value, str) and _SURROGATE.search(value):
        raise ValueError("a lone surrogate")
    if isinstance(value, list):
        for item in value:
            _refuse_surrogates(item)
    if isinstance(value, dict):
        for name, item in value.items():
            _refuse_surrogates(name)
            _refuse_surrogates(item)


def _exact(value: Any) -> Any:
    """A copy of a schema or value with its numbers as Decimals; a float stands for its shortest spelling."""
    if isinstance(value, dict):
        return {name: _exact(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return value


def _key(value: Any) -> Any:
    """Something hashable that is equal for equal JSON values alone."""
    if isinstance(value, list):
        return "array", tuple(map(_key, value))
    if isinstance(value, dict):
        return "object", frozenset((name, _key(item)) for name, item in value.items())
    return type(value).__name__, value


def _divides(divisor: Decimal, value: Decimal) -> bool:
    """Whether value / divisor is an integer, by the integers that the digits are: no exponent is too large."""
    _, digits, exponent = value.as_tuple()
    _, divisor_digits, divisor_exponent = divisor.as_tuple()
    number, by = int("".join(map(str, digits))), int("".join(map(str, divisor_digits)))
    if number == 0:
        return True
    if by == 0:
        raise Undecided("multipleOf 0")
    shift = int(exponent) - int(divisor_exponent)
    if shift >= 0:
        return number * pow(10, shift, by) % by == 0
    return -shift <= len(digits) and number % (by * 10**-shift) == 0


# ------------------------------------------------------------------------------------------------ patterns


@lru_cache(maxsize=4096)
def _regex(pattern: str) -> regress.Regex:
    for flags in ("u", ""):
        try:
            return regress.Regex(pattern, flags)
        except regress.RegressError as error:
            fault = error
    raise Undecided(f"the pattern {pattern!r} is malformed: {fault}")


@lru_cache(maxsize=65536)
def _matches(pattern: str, text: str) -> bool:
    return _regex(pattern).find(text) is not None


# ------------------------------------------------------------------------------------------------ keywords

# As the package has them: (validator, value of the keyword, instance, schema) -> errors.
_Errors = Iterator[ValidationError]


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> _Errors:
    if isinstance(instance, str) and not _matches(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, schema: Any) -> _Errors:
    if isinstance(instance, dict):
        for pattern, subschema in patterns.items():
            for name, value in instance.items():
                if _matches(pattern, name):
                    yield from validator.descend(value, subschema, path=name, schema_path=pattern)


def _is_declared(schema: Any, name: str) -> bool:
    return name in schema.get("properties", ()) or any(_matches(p, name) for p in schema.get("patternProperties", ()))


def _additional_properties(validator: Any, subschema: Any, instance: Any, schema: Any) -> _Errors:
    if isinstance(instance, dict):
        for name, value in instance.items():
            if not _is_declared(schema, name):
                yield from validator.descend(value, subschema, path=name)


def _required(validator: Any, names: Any, instance: Any, schema: Any) -> _Errors:
    if isinstance(instance, dict) and isinstance(names, list):
        for name in names:
            if name not in instance:
                yield ValidationError(f"{name!r} is required")


def _multiple_of(validator: Any, divisor: Any, instance: Any, schema: Any) -> _Errors:
    if isinstance(instance, Decimal) and not _divides(divisor, instance):
        yield ValidationError(f"{instance} is not a multiple of {divisor}")


def _enum(validator: Any, values: Any, instance: Any, schema: Any) -> _Errors:
    if _key(instance) not in map(_key, values):
        yield ValidationError(f"{instance!r} is not in the enum")


def _const(validator: Any, value: Any, instance: Any, schema: Any) -> _Errors:
    if _key(instance) != _key(value):
        yield ValidationError(f"{instance!r} is not {value!r}")


def _unique_items(validator: Any, unique: Any, instance: Any, schema: Any) -> _Errors:
    if unique and isinstance(instance, list) and len(set(map(_key, instance))) < len(instance):
        yield ValidationError("items are equal")


def _prefix(validator: Any, subschemas: Any, instance: list[Any]) -> _Errors:
    for i, (item, subschema) in enumerate(zip(instance, subschemas, strict=False)):
        yield from validator.descend(item, subschema, path=i, schema_path=i)


def _prefix_items(validator: Any, subschemas: Any, instance: Any, schema: Any) -> _Errors:
    if isinstance(instance, list):
        yield from _prefix(validator, subschemas, instance)


def _items(validator: Any, items: Any, instance: Any, schema: Any) -> _Errors:
    if not isinstance(instance, list):
        return
    if isinstance(items, list):
        yield from _prefix(validator, items, instance)
        return
    first = len(schema.get("prefixItems", ())) if "prefixItems" in validator.VALIDATORS else 0
    for i in range(first, len(instance)):
        yield from validator.descend(instance[i], items, path=i)


def _additional_items(validator: Any, subschema: Any, instance: Any, schema: Any) -> _Errors:
    if isinstance(instance, list) and isinstance(schema.get("items"), list):
        for i in range(len(schema["items"]), len(instance)):
            yield from validator.descend(instance[i], subschema, path=i)


def _dependencies(validator: Any, dependencies: Any, instance: Any, schema: Any) -> _Errors:
    if isinstance(instance, dict):
        for name, needed in dependencies.items():
            if name not in instance:
                continue
            if isinstance(needed, (list, str)):
                yield from _required(validator, [needed] if isinstance(needed, str) else needed, instance, schema)
            else:
                yield from validator.descend(instance, needed, schema_path=name)


def _format(validator: Any, name: str, instance: Any, schema: Any) -> _Errors:
    if validator.format_checker is not None and isinstance(instance, str):
        if name in FORMATS and not FORMATS[name](instance):
            yield ValidationError(f"{instance!r} is no {name}")


def _unevaluated_properties(validator: Any, subschema: Any, instance: Any, schema: Any) -> _Errors:
    if isinstance(instance, dict):
        for name in instance.keys() - _evaluated(validator, instance, "unevaluatedProperties"):
            yield from validator.descend(instance[name], subschema, path=name)


def _unevaluated_items(validator: Any, subschema: Any, instance: Any, schema: Any) -> _Errors:
    if isinstance(instance, list):
        for i in sorted(set(range(len(instance))) - _evaluated(validator, instance, "unevaluatedItems")):
            yield from validator.descend(instance[i], subschema, path=i)


# ------------------------------------------------------------------------------------------------ what is evaluated


def _evaluated(validator: Any, instance: Any, without: str = "") -> set[Any]:
    """The names or indices that a schema evaluates in an instance that is valid under it (2020-12 core, 11.2, 11.3).

    without : the keyword that asks, which is not to see itself.
    """
    schema = validator.schema
    if isinstance(schema, bool):
        return set()
    own = _evaluated_names if isinstance(instance, dict) else _evaluated_indices
    found = own(validator, schema, instance, without)
    for inner in _in_place(validator, schema, instance):
        found |= _evaluated(inner, instance)
    return found


def _evaluated_names(validator: Any, schema: Any, instance: dict[str, Any], without: str) -> set[Any]:
    if "additionalProperties" in schema or ("unevaluatedProperties" in schema and not without):
        return set(instance)
    return {name for name in instance if _is_declared(schema, name)}


def _evaluated_indices(validator: Any, schema: Any, instance: list[Any], without: str) -> set[Any]:
    everything, items = set(range(len(instance))), schema.get("items")
    if (items is not None and not isinstance(items, list)) or ("unevaluatedItems" in schema and not without):
        return everything
    if isinstance(items, list) and "additionalItems" in schema:
        return everything
    modern = "prefixItems" in validator.VALIDATORS
    found = set(range(len(items or (schema.get("prefixItems", ()) if modern else ()))))
    if modern and "contains" in schema:
        contained = _at(validator, schema["contains"])
        found |= {i for i, item in enumerate(instance) if contained.is_valid(item)}
    return found & everything


def _in_place(validator: Any, schema: Any, instance: Any) -> Iterator[Any]:
    """Validators of the subschemas that apply to the instance itself and hold."""
    for keyword in ("$ref", "$dynamicRef"):
        if keyword in schema and keyword in validator.VALIDATORS:
            resolved = validator._resolver.lookup(schema[keyword])
            yield validator.evolve(schema=resolved.contents, _resolver=resolved.resolver)
    if "$recursiveRef" in schema and "$recursiveRef" in validator.VALIDATORS:
        resolved = lookup_recursive_ref(validator._resolver)
        yield validator.evolve(schema=resolved.contents, _resolver=resolved.resolver)
    inner = [*schema.get("allOf", ()), *schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if isinstance(instance, dict):
        for keyword in ("dependentSchemas", "dependencies"):
            inner += [s for name, s in schema.get(keyword, {}).items() if name in instance and isinstance(s, dict)]
    if "if" in schema:
        holds = _at(validator, schema["if"]).is_valid(instance)
        inner += [schema["if"], schema.get("then", True)] if holds else [schema.get("else", True)]
    for subschema in inner:
        there = _at(validator, subschema)
        if there.is_valid(instance):
            yield there


def _at(validator: Any, subschema: Any) -> Any:
    """The validator of a subschema, with the base URI that it has."""
    resource = validator._resolver.in_subresource(_specification(validator).create_resource(subschema))
    return validator.evolve(schema=subschema, _resolver=resource)


def _specification(validator: Any) -> Specification[Any]:
    return specification_with(validator.META_SCHEMA.get("$id") or validator.META_SCHEMA["id"])


# ------------------------------------------------------------------------------------------------ drafts


@lru_cache
def _class(draft: type) -> type:
    """A draft of the package with the keywords of this file."""
    keywords: dict[str, Callable[..., _Errors]] = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "required": _required,
        "multipleOf": _multiple_of,
        "enum": _enum,
        "const": _const,
        "uniqueItems": _unique_items,
        "prefixItems": _prefix_items,
        "items": _items,
        "format": _format,
        "unevaluatedProperties": _unevaluated_properties,
        "unevaluatedItems": _unevaluated_items,
    }
    known = {name: function for name, function in keywords.items() if name in draft.VALIDATORS}  # type: ignore[attr-defined]
    known |= {"additionalItems": _additional_items, "dependencies": _dependencies}
    types = draft.TYPE_CHECKER.redefine_many(  # type: ignore[attr-defined]
        {
            "number": lambda _, value: isinstance(value, Decimal),
            "integer": lambda _, value: isinstance(value, Decimal) and value == value.to_integral_value(),
            "any": lambda _, value: True,
        }
    )
    return jsonschema.validators.extend(draft, known, type_checker=types)


def _draft_of(schema: Any) -> type:
    named = schema.get("$schema") if isinstance(schema, dict) else None
    found = [draft for part, draft in _DRAFTS.items() if isinstance(named, str) and part in named]
    return found[0] if found else jsonschema.Draft202012Validator


@lru_cache
def _metaschemas() -> Registry[Any]:
    return registry_of({})


def registry_of(schemas: dict[str, Any], default: Specification[Any] = DRAFT202012) -> Registry[Any]:
    """The metaschemas and further schemas by their URIs; `default` is the draft of those without a `$schema`."""
    registry: Registry[Any] = Registry()
    for uri, contents in [*((uri, REGISTRY.contents(uri)) for uri in REGISTRY), *schemas.items()]:
        named = contents.get("$schema", "") if isinstance(contents, dict) else ""
        specification = specification_with(named, default=default)
        registry = registry.with_resource(uri, specification.create_resource(_anonymous(contents)))
    return registry


# What is below these is no schema.
_DATA = frozenset(("const", "enum", "default", "examples"))


def _anonymous(schema: Any) -> Any:
    """An exact copy without `$schema`, by which the package would take it for one of its own classes'.

    Inside it, too: where it names the same draft or belongs to no schema resource of its own, it says nothing.
    """
    draft = _draft_of(schema)
    identifier = "id" if draft is jsonschema.Draft4Validator else "$id"

    def copy(part: Any) -> Any:
        if isinstance(part, list):
            return [copy(item) for item in part]
        if not isinstance(part, dict):
            return _exact(part)
        if isinstance(part.get("$schema"), str):
            if part is not schema and identifier in part and _draft_of(part) is not draft:
                raise Undecided(f"a subschema of another draft: {part['$schema']}")
            part = {key: value for key, value in part.items() if key != "$schema"}
        return {key: _exact(value) if key in _DATA else copy(value) for key, value in part.items()}

    return copy(schema)


class Judge:
    """The judge of one schema (a dict, a boolean or JSON text).

    formats : whether `format` asserts. registry : what references may lead to, by registry_of.
    """

    def __init__(self, schema: Any, *, formats: bool = False, registry: Registry[Any] | None = None) -> None:
        schema = parse(schema) if isinstance(schema, (str, bytes)) else schema
        self._validator = _class(_draft_of(schema))(
            _anonymous(schema),
            registry=_metaschemas() if registry is None else registry,
            format_checker=jsonschema.FormatChecker() if formats else None,
        )

    def accepts(self, text: str | bytes) -> bool:
        """Whether a text is JSON and valid. Raises Undecided."""
        return self.complaint(text) is None

    def holds(self, value: Any) -> bool:
        """Whether a Python value is valid. Raises Undecided."""
        return self._first_error(_exact(value)) is None

    def complaint(self, text: str | bytes) -> str | None:
        """Why a text is not valid: the places in schema and value and the rule; None for a valid one."""
        try:
            value = parse(text)
        except ValueError as error:
            return f"not JSON: {error}"
        error = self._first_error(value)
        if error is None:
            return None
        at = "/".join(map(str, error.absolute_path))
        return f"{'/'.join(map(str, error.absolute_schema_path))} at /{at}: {error.message[:200]}"

    def _first_error(self, value: Any) -> ValidationError | None:
        try:
            return next(self._validator.iter_errors(value), None)
        except Undecided:
            raise
        except RecursionError:
            raise Undecided("the schema leads back to itself without end") from None
        except Exception as error:  # whatever the package does with a schema that is malformed
            raise Undecided(f"{type(error).__name__}: {error}") from error


@lru_cache(maxsize=512)
def _judge(schema: str, formats: bool) -> Judge:
    return Judge(schema, formats=formats)


def judge(schema: Any, *, formats: bool = False) -> Judge:
    """The judge of a schema, made once for equal ones."""
    return _judge(schema if isinstance(schema, str) else json.dumps(schema), formats)
