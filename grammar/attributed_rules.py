"""Rules with attributes (rule_attributes.py), as an EBNF text has them: early ends, temperatures and captures.

A rule that ends early is regular; its automaton becomes its body. Rules with a temperature become states
(rule_temperatures.py). Captures are no states: beside the states, a tree is kept in which each rule that leads to a
captured one stands for itself, as captures.py reads it. So such a rule cannot come back to itself: it has no tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..automata.errors import UnsatisfiableError, UnsupportedError
from ..automata.fragment import Target
from ..automata.regular import EMPTY, Language, compile_regular
from .composition import leaf_node
from .rule_attributes import Attributes, shortest
from .rule_reduction import reduced_bodies
from .rule_states import root_payload
from .rule_temperatures import with_temperatures
from .rules import (
    Captured,
    Node,
    Rule,
    RuleSet,
    Terminal,
    facts_of,
    notes_of,
    references,
    strongly_connected,
    substituted,
    verify,
)

__all__ = ["ReadRules", "read_rules"]


class ReadRules(NamedTuple):
    """root : the first state. parts : the tree for captures; None where nothing is captured."""

    root: Target
    notes: list[str]
    parts: Node | None


def read_rules(rules: RuleSet) -> ReadRules:
    """The states of rules with attributes. Raises as root_payload does, and UnsupportedError for what comes back to
    itself and has attributes."""
    verify(rules)
    rules = _with_early_ends(rules)
    facts = facts_of(rules)
    temperatures = {name: a.temperature for name, a in rules.attributes.items() if a.temperature is not None}
    root, _ = root_payload(with_temperatures(rules, temperatures) if temperatures else rules)
    names = {name: a.capture or name for name, a in rules.attributes.items() if a.capture is not None}
    names = {name: named for name, named in names.items() if name in facts.reachable & facts.productive}
    parts = leaf_node(root, _Tree(rules, names).rule(rules.start)) if names else None
    return ReadRules(root, notes_of(rules, facts), parts)


def _with_early_ends(rules: RuleSet) -> RuleSet:
    """The rules with an automaton for the body of each that ends early; those that others name go first."""
    graph = {name: [ref.name for ref in references(rule.body)] for name, rule in rules.rules.items()}
    found = dict(rules.rules)
    for component in strongly_connected(graph):
        for name in component:
            attributes = rules.attributes.get(name)
            if attributes is not None and attributes.shape:
                body = _early_body(RuleSet(found, name, rules.text), attributes)
                found[name] = Rule(name, body, found[name].offset, found[name].special_tokens)
    return RuleSet(found, rules.start, rules.text, rules.notes, rules.attributes)


def _early_body(rules: RuleSet, attributes: Attributes) -> Node:
    name = rules.start
    body = reduced_bodies(rules, facts_of(rules))[name]
    if not isinstance(body, Terminal):
        reason = "its body is recursive or has a schema, and is not regular"
        what = f"an early end of rule {name!r}"
        raise UnsupportedError(what, reason, text=rules.text, offset=attributes.offset)
    language = shortest(compile_regular(body.language), attributes)
    if language.is_empty:
        raise UnsatisfiableError(f"rule {name!r} has no text", text=rules.text, offset=attributes.offset)
    return Terminal(Language(language))


class _Tree:
    """The tree of a rule set in which captured rules have names. names : by rule, that of what is read as it."""

    def __init__(self, rules: RuleSet, names: Mapping[str, str]) -> None:
        self.rules, self.names = rules, names
        self.facts = facts_of(rules)
        graph = {name: [ref.name for ref in references(rule.body)] for name, rule in rules.rules.items()}
        self.leads = set(names)  # the rules that lead to a captured one
        self.again: set[str] = set()  # those that come back to themselves
        for component in strongly_connected(graph):
            if any(ref in self.leads for name in component for ref in graph[name]):
                self.leads.update(component)
            if len(component) > 1 or component[0] in graph[component[0]]:
                self.again.update(component)
        self.made: dict[str, Node] = {}

    def rule(self, name: str) -> Node:
        """What stands for a rule: its tree if it leads to a captured one, else a state."""
        if name not in self.made:
            self.made[name] = self.tree(name) if name in self.leads else self.state(name)
        return self.made[name]

    def tree(self, name: str) -> Node:
        if name in self.again:
            captured = next(one for one in (name, *self.names) if one in self.names)
            raise UnsupportedError(
                f"a capture in rule {name!r}, which comes back to itself",
                "how deep a text nests is not told; capture a rule around it",
                text=self.rules.text,
                offset=self.rules.attributes[captured].offset,
            )
        body = substituted(self.rules.rules[name].body, lambda ref: self.rule(ref.name))
        return Captured(body, self.names[name]) if name in self.names else body

    def state(self, name: str) -> Node:
        if name not in self.facts.productive:
            return Terminal(EMPTY)
        root, _ = root_payload(RuleSet(self.rules.rules, name, self.rules.text))
        return leaf_node(root, None)
