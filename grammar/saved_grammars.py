"""Loading a compiled grammar from the file that `Compiled.save` wrote, and what makes a grammar again: its recipe.

A *recipe* is what a `from_…` method was given, as JSON values: {"kind": "json_schema", "schema": …}. The grammar itself
is not needed to decode what was precomputed, so it is made when somebody asks for it, or for a state that is not there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..automata.compiled import Compiled
from ..automata.errors import SavedGrammarError
from ..automata.saved_tables import read_saved
from ..automata.vocabulary import Vocabulary
from .grammar import Grammar
from .regex import Regex
from .schema_scan import Gap

__all__ = ["grammar_of", "load"]


def load(path: str | os.PathLike[str], vocabulary: Vocabulary) -> Compiled:
    """The compiled grammar that `Compiled.save` wrote, with its states and masks.

    Raises VocabularyError for another vocabulary than that which it was compiled for; SavedGrammarError for a file that
    is damaged, is something else, or was written by another version of bridle; OSError.
    Nothing in the file is executed. Yet it says what the grammar is: load what you would also compile.
    """
    saved = read_saved(Path(path), vocabulary)
    recipe = saved.recipe
    if recipe.get("kind") not in _MAKERS:
        raise SavedGrammarError(f"{os.fspath(path)} holds an unknown kind of grammar, {recipe.get('kind')!r}")
    return Compiled.of_saved(saved, vocabulary, lambda: grammar_of(recipe).bound_to(vocabulary))


def grammar_of(recipe: Mapping[str, Any]) -> Grammar:
    """The grammar that a recipe makes."""
    try:
        grammar = _MAKERS[recipe["kind"]](recipe)
        grammar.source = recipe["source"]
        grammar.notes = tuple(recipe["notes"])
        grammar.unenforced = tuple(Gap(*gap) for gap in recipe["unenforced"])
        return grammar
    except (KeyError, TypeError) as error:
        raise SavedGrammarError(f"the recipe of a saved grammar is malformed: {error!r}") from error


def _from_json_schema(recipe: Mapping[str, Any]) -> Grammar:
    return Grammar.from_json_schema(recipe["schema"], **_options(recipe))


def _options(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a schema, which JSON has no tuples for."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in recipe["options"].items()}


def _from_choices(recipe: Mapping[str, Any]) -> Grammar:
    choices = recipe["choices"]
    if recipe["bytes"]:
        choices = [choice.encode("latin-1") for choice in choices]
    return Grammar.from_choices(choices, json=recipe["json"])


def _composed(recipe: Mapping[str, Any]) -> Grammar:
    from .composition import of_recipe

    return of_recipe(recipe, grammar_of)


def _from_lark(recipe: Mapping[str, Any]) -> Grammar:
    from .lark_grammar import read_lark

    text, start = recipe["text"], recipe["start"]
    return Grammar._of_lark(read_lark(text, start, imported=recipe["imported"]), text, start)


_MAKERS: dict[str, Callable[[Mapping[str, Any]], Grammar]] = {
    "json_schema": _from_json_schema,
    "regex": lambda recipe: Grammar.from_regex(Regex.of_recipe(recipe["regex"])),
    "choices": _from_choices,
    "substring": lambda recipe: Grammar.from_substring(
        recipe["documents"], by=recipe["by"], allow_empty=recipe["allow_empty"]
    ),
    "ebnf": lambda recipe: Grammar.from_ebnf(recipe["text"], start=recipe["start"]),
    "lark": _from_lark,
    "free_text": lambda recipe: Grammar.free_text(recipe["until"]),
    "structural_tag": lambda recipe: Grammar.from_structural_tag(
        recipe["tag"], special_tokens=recipe["special_tokens"], **_options(recipe)
    ),
    **dict.fromkeys(("concat", "union", "repeat", "capture", "temperature"), _composed),
}
