"""Rules with a temperature: each becomes a state of its own that the rules around it call, so that it is a frame.

A frame has an end that can be seen on the stack (`Heat` in composition.py), and what reduction would join to its
surroundings stays apart. So such a rule is compiled by itself, and what it was compiled to stands in other bodies. For
one that comes back to itself that would have no end; it is refused.

Cost: that of a rule set for each rule with a temperature, of the rules that it names.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..automata.errors import UnsupportedError
from .composition import Heat
from .rule_states import root_payload
from .rules import Embedded, Node, Rule, RuleRef, RuleSet, facts_of, references, substituted, verify

__all__ = ["with_temperatures"]


def with_temperatures(rules: RuleSet, temperatures: Mapping[str, float], *, joined: bool = False) -> RuleSet:
    """The rules that the start needs, with states in the place of those that have a temperature.

    temperatures : by rule, at least 0. joined : as for root_payload. Raises UnsupportedError for a rule that comes back
    to itself, and what root_payload raises.
    """
    verify(rules)
    return _Warming(rules, temperatures, joined).rule_set()


class _Warming:
    def __init__(self, rules: RuleSet, temperatures: Mapping[str, float], joined: bool) -> None:
        self.rules, self.joined = rules, joined
        self.facts = facts_of(rules)
        self.hot = {name: t for name, t in temperatures.items() if name in self.facts.solid}
        self.made: dict[str, Node | None] = {}  # None: being made

    def rule_set(self) -> RuleSet:
        start = self.rules.start
        if start not in self.hot:
            return self.needed_by(start)
        return RuleSet({start: Rule(start, self.state(RuleRef(start)), self.rules.rules[start].offset)}, start)

    def needed_by(self, start: str) -> RuleSet:
        """A rule, and those that it needs outside of rules with a temperature."""
        found: dict[str, Rule] = {}
        waiting = [start]
        while waiting:
            name = waiting.pop()
            if name not in found:
                body = substituted(self.rules.rules[name].body, self.state)
                found[name] = Rule(name, body, self.rules.rules[name].offset)
                waiting += [ref.name for ref in references(body)]
        return RuleSet(found, start, self.rules.text)

    def state(self, ref: RuleRef) -> Node:
        """What stands for a rule that is named: its state if it has a temperature."""
        name = ref.name
        if name not in self.hot:
            return ref
        if name not in self.made:
            self.made[name] = None
            root, _ = root_payload(self.needed_by(name), joined=self.joined)
            self.made[name] = Embedded(Heat(root, self.hot[name]), name in self.facts.nullable)
        made = self.made[name]
        if made is None:
            raise UnsupportedError(
                f"a temperature for rule {name!r}, which comes back to itself",
                "give it to a rule that names this one, or to one that this one names",
                text=self.rules.text,
                offset=self.rules.rules[name].offset,
            )
        return made
