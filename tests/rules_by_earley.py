"""A slow recogniser of rule sets over leaves, greedy ones included: Earley's algorithm."""

from __future__ import annotations

from bridle.automata import regular
from bridle.automata.byte_dfa import ByteDfa
from bridle.automata.greedy_dfa import GreedyDfa
from bridle.grammar.rule_states import Apart
from bridle.grammar.rules import Choice, Embedded, Repeat, RuleRef, RuleSet, Sequence, Terminal

__all__ = ["NaiveRules"]


class NaiveRules:
    def __init__(self, rules: RuleSet) -> None:
        self.productions: dict[str, list[tuple]] = {}
        for name, rule in rules.rules.items():
            self.productions[name] = [(self.symbol(rule.body),)]
        self.start = rules.start

    def symbol(self, node):
        match node:
            case RuleRef(name):
                return name
            case Terminal(language):
                return regular.compile_regular(language)
            case Embedded(target):
                return target.dfa if isinstance(target, Apart) else target
        name = f"#{len(self.productions)}"
        self.productions[name] = []
        match node:
            case Sequence(items):
                found = [tuple(map(self.symbol, items))]
            case Choice(items):
                found = [(self.symbol(item),) for item in items]
            case Repeat(item, 0, 1):
                found = [(), (self.symbol(item),)]
            case Repeat(item, 0, None):
                found = [(), (name, self.symbol(item))]
        self.productions[name] = found
        return name

    def ends(self, leaf: ByteDfa | GreedyDfa, text: bytes, at: int) -> list[int]:
        out, state = [], 1
        for end in range(at, len(text) + 1):
            if leaf.accepting[state] and (
                end == len(text) or isinstance(leaf, ByteDfa) or not leaf.holds[state, text[end]]
            ):
                out.append(end)
            if end == len(text):
                break
            state = max(0, int(leaf.table[state, leaf.byte_class[text[end]]]))
            if state == 0:
                break
        return out

    def accepts(self, text: bytes) -> bool:
        chart: list[dict] = [{} for _ in range(len(text) + 1)]
        for body in self.productions[self.start]:
            chart[0][self.start, body, 0, 0] = None
        for at in range(len(text) + 1):
            done: dict = {}
            waiting = list(chart[at])
            for item in waiting:
                name, body, dot, begun = item
                if dot == len(body):
                    done.setdefault((name, begun), None)
                    for other in list(chart[begun]):
                        if other[2] < len(other[1]) and other[1][other[2]] == name:
                            self.put(chart[at], waiting, (other[0], other[1], other[2] + 1, other[3]))
                    continue
                symbol = body[dot]
                if isinstance(symbol, str):
                    for production in self.productions[symbol]:
                        self.put(chart[at], waiting, (symbol, production, 0, at))
                    if (symbol, at) in done:
                        self.put(chart[at], waiting, (name, body, dot + 1, begun))
                    continue
                for end in self.ends(symbol, text, at):
                    if end == at:
                        self.put(chart[at], waiting, (name, body, dot + 1, begun))
                    else:
                        chart[end].setdefault((name, body, dot + 1, begun), None)
        return any(name == self.start and dot == len(body) and begun == 0 for name, body, dot, begun in chart[-1])

    @staticmethod
    def put(column: dict, waiting: list, item) -> None:
        if item not in column:
            column[item] = None
            waiting.append(item)
