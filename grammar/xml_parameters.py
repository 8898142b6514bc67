"""The arguments of a tool as Qwen's coder models write them: an element for each, strings as they are.

    <parameter=city>
    Paris
    </parameter>
    <parameter=days>
    3
    </parameter>

Parameters are the members of the objects under a schema, in its order, those that are required and any of the others.
White space may stand around each element and around each value; a string is everything in between, up to the first end
of an element, and every other value is JSON. So a value that a schema admits both as a string and as something else is
read as either.

What strings a schema admits is asked of the schema (patterns, lengths, formats and constants included), and the rest is
the schema beside "no string". Members that it does not declare are left out, which the notes say.

Source: Qwen3-Coder's chat template; XGrammar 0.2.8, `qwen_xml_parameter`.
"""

from __future__ import annotations

from typing import Any

from ..automata import regular
from ..automata.byte_dfa import ByteDfa
from ..automata.errors import UnsatisfiableError, UnsupportedError
from .composition import of_node, text_node
from .free_text import free_text
from .grammar import Grammar
from .json_schema import OpenSchema, SchemaOptions, open_schema
from .rules import Choice, Embedded, Node, Repeat, Sequence, Terminal
from .schema_branch import TYPE_NAMES, Branch
from .schema_emptiness import Conjunction
from .schema_objects import ObjectPlan

__all__ = ["xml_parameters"]

_END = "</parameter>"
_NO_STRING = {"type": [name for name in TYPE_NAMES if name != "string"]}
_NOTE = "parameters that the schema does not declare are left out"


def xml_parameters(schema: Any, options: dict[str, Any]) -> Grammar:
    """The parameters of the objects under a schema. options : those of Grammar.from_json_schema.

    Raises as that does, and UnsupportedError for what members cannot be written so.
    """
    chosen = SchemaOptions(**options)
    opened = open_schema(schema, chosen)
    if chosen.property_order == "any":
        raise UnsupportedError("any order of parameters", "their order is that of the schema", pointer="")
    root = opened.values.conjunction([(opened.parsed, opened.values.scan.contexts.root)])
    branches = [] if root is None else opened.values.branches(root)
    space = Terminal(regular.Repeat(regular.char_class([(9, 10), (13, 13), (32, 32)]), 0, chosen.max_whitespace))
    found = [node for branch in branches if (node := _object(opened, branch, space)) is not None]
    if not found:
        raise UnsatisfiableError("no object satisfies this schema", pointer="")
    return of_node(
        Choice(tuple(found)), source="JSON schema, as parameters", notes=(*opened.notes, _NOTE), unenforced=opened.gaps
    )


def _object(opened: OpenSchema, branch: Branch, space: Node) -> Node | None:
    """The parameters of the objects of a branch; None if it has none."""
    if branch.constants is not None:
        raise UnsupportedError("a constant object as parameters", "declare its members", pointer="")
    if "object" not in branch.types:
        return None
    plan = branch.objects
    items: list[Node] = [space]
    declared = 0
    for name in plan.names:
        node = _parameter(opened, plan, name, space)
        if node is None and name in plan.required:
            return None
        if node is not None:
            declared += 1
            element = Sequence((node, space))
            items.append(element if name in plan.required else Repeat(element, 0, 1))
    if plan.wanted or plan.least > len(plan.required) or (plan.most is not None and plan.most < declared):
        reason = "a number of parameters, or one with any name, is not enforced"
        raise UnsupportedError("a schema that counts members", reason, pointer="")
    return Sequence(tuple(items))


def _parameter(opened: OpenSchema, plan: ObjectPlan, name: str, space: Node) -> Node | None:
    """One element; None if it can have no value."""
    conjunction = plan.value(name)
    value = None if conjunction is None else _value(opened, conjunction)
    if value is None:
        return None
    if any(character in name for character in ">\r\n"):
        raise UnsupportedError(f"the parameter {name!r}", "its name would end early", pointer="")
    return Sequence((text_node(f"<parameter={name}>"), space, value, space, text_node(_END)))


def _value(opened: OpenSchema, conjunction: Conjunction) -> Node | None:
    """A string as it is, or any other value as JSON."""
    values = opened.values
    strings = regular.intersection(values.strings_of(conjunction), free_text(frozenset((_END,)), _END))
    found: list[Node] = [] if strings.is_empty else [Terminal(regular.Language(strings))]
    other = (*conjunction, *(values.conjunction([(_NO_STRING, None)]) or ()))
    if not values.is_empty(other):
        state = opened.states.value(other, 0)
        found.append(Terminal(regular.Language(state)) if isinstance(state, ByteDfa) else Embedded(state, False))
    return Choice(tuple(found)) if found else None
