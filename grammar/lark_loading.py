"""Lark's loader, kept away from the disk: rules and terminals of a text, with the place in it for what is wrong.

`%import common.NAME` is answered from lark's own package. Any other file is looked for in the folders that the caller
gives, and nowhere else; lark itself would also look beside the running program and in the current directory. What was
read is kept, so that a grammar can be made again without the files.

Everything that lark raises becomes a GrammarError. Lark expands alternatives within sequences, so what a rule comes to
is counted first: thirty pairs in a row would be a billion rules.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple, NoReturn

from ..automata.errors import (
    BridleError,
    GrammarError,
    LimitError,
    line_and_column,
    nested_too_deeply,
)
from .lark_messages import told
from .lark_text import LarkText

__all__ = ["Imports", "Loaded", "load_rules"]

_MAX_PRODUCTIONS = 20_000


class Loaded(NamedTuple):
    """What lark compiled a text to: its TerminalDef, its Rule, and the names of ignored terminals."""

    terminals: list[Any]
    rules: list[Any]
    ignored: list[str]


class Imports:
    """Files that a grammar may import: those in some folders, or texts by path. `texts`: those that were read."""

    def __init__(self, folders: Sequence[str | os.PathLike[str]] = (), texts: Mapping[str, str] | None = None) -> None:
        self.folders = [os.fspath(folder) for folder in folders]
        self.known = texts
        self.texts: dict[str, str] = {}
        self.last: str | None = None  # the file that was opened last
        self.missing: str | None = None

    def __call__(self, base: Any, path: str) -> tuple[Any, str]:
        """What lark asks for: `base` is the folder of the file that imports, None unless the import is relative."""
        from lark.load_grammar import stdlib_loader

        if base is None or isinstance(base, str):
            for candidate in dict.fromkeys((path, os.path.join(base or "", path))):
                text = self.read(candidate)
                if text is not None:
                    self.last = candidate
                    self.texts[candidate] = text
                    return candidate, text
        if not isinstance(base, str):
            try:
                found, text = stdlib_loader(base, path)
                self.last = path
                return found, text
            except OSError:
                pass
        self.missing = path
        raise _NotFound(path)

    def read(self, path: str) -> str | None:
        if self.known is not None:
            return self.known.get(path)
        for folder in self.folders:
            try:
                with open(os.path.join(folder, path), encoding="utf-8") as file:
                    return file.read()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                continue
            except (OSError, UnicodeDecodeError) as error:
                raise GrammarError(f"cannot read {path} in an import path: {error}") from error
        return None


class _NotFound(Exception):
    """No file of that name: not an OSError, for lark would go on to look elsewhere."""


def load_rules(source: LarkText, start: str, imports: Imports) -> Loaded:
    """Lark's terminals and rules of a text. Raises GrammarError with the place, UnsupportedError, LimitError."""
    from lark.exceptions import LarkError
    from lark.load_grammar import GrammarBuilder

    builder = GrammarBuilder(False, [imports])
    try:
        builder.load_grammar(source.text, "start.lark")
        _check(builder._definitions, source, start)
        loaded = Loaded(*builder.build().compile([start], set()))
    except BridleError as error:
        if isinstance(error, GrammarError) and error.text is None:
            _fail(source, imports, error.message, error)
        raise
    except _NotFound as error:
        _not_found(source, imports, error)
    except RecursionError:
        raise nested_too_deeply("a Lark grammar") from None
    except (LarkError, AssertionError, ValueError, KeyError, IndexError, SyntaxError, re.error) as error:
        _fail(source, imports, str(error), error)
    _check_terminals(loaded, source, builder._definitions)
    return loaded


def _check(definitions: Mapping[str, Any], source: LarkText, start: str) -> None:
    rules = {str(name) for name, found in definitions.items() if not found.is_term}
    if start not in rules:
        near = get_close_matches(start, rules, n=1)
        source.fail(f"the start rule {start!r} is not defined{f'; did you mean {near[0]!r}?' if near else ''}", 0)
    if definitions[start].params:
        source.fail(f"the start rule {start!r} is a template", source.defined.get(start, 0))
    total = 0
    for name, found in definitions.items():
        if found.tree is not None and not found.is_term:
            total += _counted(found.tree, source)
            if total > _MAX_PRODUCTIONS:
                line, column = line_and_column(source.original, source.defined.get(name, 0))
                place = f"rule {str(name)!r}, line {line}, column {column}"
                raise LimitError("productions", total, _MAX_PRODUCTIONS, place)
    _check_templates(definitions, source)


def _check_templates(definitions: Mapping[str, Any], source: LarkText) -> None:
    """Refuses templates that would be instantiated without end: that come back to themselves with a larger argument."""
    uses: dict[str, set[str]] = {}
    grows: set[str] = set()
    for name, found in definitions.items():
        uses[name] = set()
        if found.tree is None:
            continue
        for usage in found.tree.find_data("template_usage"):
            uses[name].add(usage.children[0].name)
            if any(hasattr(argument, "data") for argument in usage.children[1:]):
                inner = [use for argument in usage.children[1:] if hasattr(argument, "data")
                         for use in argument.scan_values(lambda v: hasattr(v, "name"))]  # fmt: skip
                if found.params and any(symbol.name in found.params for symbol in inner):
                    grows.add(name)
    for name in grows:
        seen, waiting = set(), list(uses[name])
        while waiting:
            used = waiting.pop()
            if used == name:
                source.fail(f"template {str(name)!r} has no end: it uses itself with ever larger arguments",
                            source.defined.get(name, 0))  # fmt: skip
            if used not in seen and used in uses:
                seen.add(used)
                waiting.extend(uses[used])


def _counted(tree: Any, source: LarkText) -> int:
    try:
        return _productions(tree)
    except LimitError as error:
        place = re.search(rf"(?:~|\.\.)\s*\+?0*{error.given}\b", source.original)
        line, column = line_and_column(source.original, place.start() if place else 0)
        error.place = f"line {line}, column {column}"
        raise


def _productions(tree: Any) -> int:
    """How many productions lark makes of a body, about; counted no further than the limit."""
    if not hasattr(tree, "data"):
        return 1
    kids = tree.children
    if tree.data == "expansions":
        return min(sum(map(_productions, kids)), 10 * _MAX_PRODUCTIONS)
    if tree.data == "expansion":
        product = 1
        for kid in kids:
            product = min(product * max(1, _productions(kid)), 10 * _MAX_PRODUCTIONS)
        return product
    if tree.data == "maybe":
        return 1 + _productions(kids[0])
    if tree.data == "expr":
        inner, operator, *counts = kids
        n = _productions(inner)
        if operator == "?":
            return n + 1
        if operator in ("*", "+"):
            return max(2, 2 * n)
        most = int(counts[-1])
        if most > 1_000_000:
            raise LimitError("repetition", most, 1_000_000)
        return min((n ** min(most, 50)) * 2 + most, 10 * _MAX_PRODUCTIONS)
    return max([1, *map(_productions, kids)])


def _check_terminals(loaded: Loaded, source: LarkText, definitions: Mapping[str, Any]) -> None:
    known = {terminal.name for terminal in loaded.terminals} | source.embedded.keys()
    origins = {rule.origin.name for rule in loaded.rules}
    for rule in loaded.rules:
        for symbol in rule.expansion:
            if not symbol.is_term and symbol.name not in origins:
                message = f"Using an undefined rule: NonTerminal('{symbol.name}')"
                source.fail(*told(source, message, None))
        for symbol in rule.expansion:
            if symbol.is_term and symbol.name not in known:
                reason = "it is declared, and its texts would come from a program that runs after the lexer"
                source.unsupported(f"the terminal {symbol.name}", reason, source.first.get(symbol.name, 0))


# ---------------------------------------------------------------------------------------------- errors


def _not_found(source: LarkText, imports: Imports, error: Exception) -> NoReturn:
    path = imports.missing or ""
    dotted = path.removesuffix(".lark").replace(os.sep, ".")
    where = next((at for name, at in source.imports if name.lstrip(".").startswith(dotted)), 0)
    looked = ", ".join(imports.folders) or "none is given"
    raise GrammarError(
        f"there is no grammar {path} to import: it is looked for in lark's package and in import_paths ({looked})",
        text=source.original,
        offset=where,
    ) from error


def _fail(source: LarkText, imports: Imports, message: str, error: BaseException) -> NoReturn:
    """Raises what lark said, at its place."""
    cause = error if hasattr(error, "pos_in_stream") else error.__context__
    position = getattr(cause, "pos_in_stream", None)
    if position is not None and imports.last is not None:  # the text itself was read before what it imports
        dotted = imports.last.removesuffix(".lark").replace(os.sep, ".")
        where = next((at for name, at in source.imports if name.lstrip(".").startswith(dotted)), 0)
        imported = LarkText(imports.texts.get(imports.last, ""))
        said, offset = told(imported, message, position)
        line, column = line_and_column(imported.original, offset)
        said = f"{said} (in {imports.last}, which is imported, line {line}, column {column})"
        raise GrammarError(said, text=source.original, offset=where) from error
    said, offset = told(source, message, None if position is None else source.place(position))
    raise GrammarError(said, text=source.original, offset=min(offset, len(source.original))) from error
