"""Rule sets: what is known about them, what becomes of them, and that their states say what the grammar says.

States are driven by a simulation of stacks, as slow as it is plain, and compared with the oracle's Earley parser on all
short texts. The budgets are the usual ones, and ones so small that next to nothing is a table.
"""

from __future__ import annotations

import time
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings

import bridle
import naive
import strategies
from bridle.automata import regular
from bridle.automata.budget import RegularLimits
from bridle.automata.byte_dfa import ByteDfa
from bridle.automata.errors import GrammarError, LimitError, UnsatisfiableError
from bridle.automata.fragment import Fragment, Text
from bridle.automata.greedy_dfa import GreedyDfa
from bridle.automata.regular import compile_regular, literal
from bridle.grammar.ebnf import parse_ebnf
from bridle.grammar.rule_reduction import reduced_bodies
from bridle.grammar.rule_states import Counted, RuleLimits, RuleState, root_payload
from bridle.grammar.rules import (
    MAX_DEPTH,
    Choice,
    Embedded,
    Repeat,
    Rule,
    RuleRef,
    RuleSet,
    Sequence,
    Terminal,
    facts_of,
    left_recursion,
    notes_of,
    strongly_connected,
    verify,
)

EXAMPLES = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
TINY = RuleLimits(leaf=RegularLimits(nfa_size=50, dfa_states=10, steps=100_000))
ALPHABET = ("a", "b", "é", "😀", "\n", b"\xc3", "A")


class Frames:
    """A configuration is a set of stacks of frames: payloads, (automaton, state), (counted loop, state, count).

    Greedy leaves are read as ordinary automata: states of rules are to call them only where that makes no difference.
    """

    def __init__(self, root) -> None:
        self.shapes: dict = {}
        self.start = frozenset([(self.frame(root),)])

    @staticmethod
    def frame(target):
        return (target, 1) if isinstance(target, ByteDfa | GreedyDfa) else target

    def shape(self, payload):
        if payload not in self.shapes:
            shape = payload.expand()
            self.shapes[payload] = (shape, 1, 0) if isinstance(shape, Text) else shape
        return self.shapes[payload]

    def pushed(self, stack, target):
        return stack if target is None else (*stack, self.frame(target))

    def popped(self, stack):
        """The stacks that are one call, or one end of a frame, away."""
        *below, top = stack
        if isinstance(top, tuple) and isinstance(top[0], ByteDfa | GreedyDfa):
            return [tuple(below)] if top[0].accepting[top[1]] else []
        if isinstance(top, tuple) and isinstance(top[0], Text):
            return [tuple(below)] if top[1] == 1 and top[2] >= top[0].least else []
        shape = self.shape(top)
        if not isinstance(shape, Fragment):
            return [(*below, shape)]
        calls = [self.pushed(self.pushed(tuple(below), then), callee) for callee, then in shape.calls]
        return calls + [tuple(below)] * shape.ends

    def closure(self, stacks):
        seen, waiting = set(stacks), list(stacks)
        while waiting:
            stack = waiting.pop()
            assert len(stack) < 100, "calls without end"
            for more in self.popped(stack) if stack else ():
                if more not in seen:
                    seen.add(more)
                    waiting.append(more)
        return seen

    def moves(self, stack, byte):
        *below, top = stack
        if isinstance(top, tuple) and isinstance(top[0], ByteDfa | GreedyDfa):
            dfa, state = top
            if dfa.table[state, dfa.byte_class[byte]]:
                yield (*below, (dfa, int(dfa.table[state, dfa.byte_class[byte]])))
        elif isinstance(top, tuple) and isinstance(top[0], Text):
            text, state, count = top
            to = int(text.unit.transitions[state, byte])
            if to and not (state == 1 and text.most is not None and count >= text.most):
                yield (*below, (text, to, count + (state == 1)))
        elif isinstance(shape := self.shape(top), Fragment):
            for low, high, target in shape.edges:
                if low <= byte <= high:
                    yield self.pushed(tuple(below), target)

    def step(self, stacks, data):
        for byte in data.encode() if isinstance(data, str) else data:
            stacks = frozenset(more for stack in self.closure(stacks) if stack for more in self.moves(stack, byte))
        return stacks

    def accepts(self, stacks):
        return () in self.closure(stacks)


def check(grammar: str, alphabet=ALPHABET, most: int = 3, limits: RuleLimits | None = None) -> None:
    """All texts of a few letters are judged as the oracle judges them, whether or not levels are joined."""
    n = naive.ebnf(grammar)
    for joined in (False, True):
        try:
            root, _ = root_payload(parse_ebnf(grammar), limits or RuleLimits(), joined=joined)
        except UnsatisfiableError:
            assert not n.is_prefix(b"")
            return
        compare(Frames(root), n, grammar, alphabet, most)


def compare(frames: Frames, n: naive.Naive, grammar: str, alphabet, most: int) -> None:
    waiting = [(b"", frames.start, 0)]
    while waiting:
        text, stacks, length = waiting.pop()
        assert frames.accepts(stacks) == n.accepts(text), (grammar, text)
        for letter in alphabet if length < most and len(stacks) < 60 else ():
            longer = text + (letter.encode() if isinstance(letter, str) else letter)
            after = frames.step(stacks, letter)
            assert bool(after) == n.is_prefix(longer), (grammar, longer)
            if after:
                waiting.append((longer, after, length + 1))


def rules_of(text: str) -> RuleSet:
    return parse_ebnf(text)


# What is known about rules.


def test_facts_are_least_fixpoints():
    rules = rules_of(
        'root ::= a b? c | d | e\na ::= "x" | a\nb ::= "y" b\nc ::= "" | c c\n'
        'd ::= b "z"\ne ::= [] | [\\uD800] e\nf ::= a'
    )
    facts = facts_of(rules)
    assert facts.productive == {"root", "a", "c", "f"}
    assert facts.nullable == {"c"}
    assert facts.solid == {"root", "a", "f"}
    assert facts.reachable == {"root", "a", "b", "c", "d", "e"}


def test_notes_name_rules_that_are_unused_or_derive_nothing():
    rules = rules_of('root ::= "a" | b\nb ::= "b" b\nc ::= "c"')
    assert notes_of(rules, facts_of(rules)) == [
        "never used from 'root': rule 'c' (line 3, column 1)",
        "rule 'b' (line 2, column 1) derives no text; alternatives that need it are left out",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('root ::= "a" root', "(root → root)"),
        ('root ::= "a" x\nx ::= y | z\ny ::= "y" x\nz ::= root', "(x → y → x)"),
        ('root ::= "a" x\nx ::= []', "rule 'x' (line 2, column 1) has none"),
        ("root ::= root", "(root → root)"),
    ],
)
def test_a_grammar_without_a_sentence_is_refused_with_the_rule_to_blame(text, says):
    with pytest.raises(UnsatisfiableError) as caught:
        root_payload(rules_of(text))
    assert says in caught.value.message
    assert (caught.value.line, caught.value.column) == (1, 1)


LEFT_RECURSION = {
    'root ::= root "a" | "b"': [("root",)],
    'root ::= x "a" | "r"\nx ::= y\ny ::= root "b" | "x"': [("root", "x", "y")],
    'root ::= e root "a" | "b"\ne ::= "" | "c"': [("root",)],
    'root ::= "b"* (x{0,2} root)? "a"\nx ::= "x"': [("root",)],
    "root ::= root | x\nx ::= root | [a]": [("root", "x")],
    'root ::= "a" root | ""': [],
    'root ::= e "a" root | "b"\ne ::= e e | ""': [],
    'root ::= x{0} "a"\nx ::= x "a" | "b"': [("x",)],
    'root ::= "a" | dead root\ndead ::= dead': [],
}


@pytest.mark.parametrize("text", LEFT_RECURSION)
def test_left_recursion_is_found_direct_indirect_and_hidden(text):
    rules = rules_of(text)
    assert left_recursion(rules, facts_of(rules)) == LEFT_RECURSION[text]


def test_components_come_before_those_that_lead_to_them_in_graphs_of_any_depth():
    chain = {str(i): [str(i + 1)] for i in range(5000)} | {"5000": ["4999"]}
    components = strongly_connected(chain)
    assert set(components[0]) == {"4999", "5000"} and len(components) == 5000 and components[-1] == ["0"]


def test_verify_refuses_rules_that_are_not_defined_and_bodies_nested_too_deep():
    rule = Rule("root", Sequence((RuleRef("x"),)))
    with pytest.raises(GrammarError, match="'x' is not defined"):
        verify(RuleSet({"root": rule}, "root"))
    body = Terminal(literal("a"))
    for _ in range(100_000):
        body = Repeat(body, 0, 1)
    with pytest.raises(LimitError) as caught:
        verify(RuleSet({"root": Rule("root", body)}, "root"))
    assert (caught.value.given, caught.value.allowed) == (100_001, MAX_DEPTH)


def test_a_repetition_checks_its_counts():
    with pytest.raises(ValueError):
        Repeat(Terminal(literal("a")), 2, 1)


# What becomes of them.

REGULAR = {
    'root ::= "a" ws "b"\nws ::= (" " ws)?': r'root ::= "a" " "* "b"',
    'root ::= root [0-9] | "-" | "+"': 'root ::= ("-" | "+") [0-9]*',
    'root ::= "a" x | ""\nx ::= "b" root | "c" x | "d"': 'root ::= ("a" "c"* "b")* ("" | "a" "c"* "d")',
    'root ::= x "a" | "s"\nx ::= root "b" | x "c" | "t"': 'root ::= ("s" | "t" "c"* "a") ("b" "c"* "a")*',
    'root ::= (root "a")? | "b"': 'root ::= "b"? "a"*',
    "root ::= x x\nx ::= y y\ny ::= z{3}\nz ::= [ab]?": "root ::= [ab]{0,12}",
    'root ::= e "a" e\ne ::= e e | ""': 'root ::= "a"',
    "root ::= root | x\nx ::= root | [a]": 'root ::= "a"',
}


@pytest.mark.parametrize("text", REGULAR)
def test_grammars_without_nesting_are_one_minimal_automaton(text):
    root, _ = root_payload(rules_of(text))
    assert isinstance(root, ByteDfa)
    assert root == root_payload(rules_of(REGULAR[text]))[0]


def test_rules_that_double_stay_small():
    doubling = "\n".join(f"r{i} ::= r{i - 1} r{i - 1}" for i in range(1, 40))
    root, _ = root_payload(rules_of(f'root ::= r39\n{doubling}\nr0 ::= "a" | "b"'))
    frames = Frames(root)
    assert frames.step(frames.start, "ab" * 10)


def test_what_recursion_leaves_is_in_pieces_that_are_as_large_as_can_be():
    rules = rules_of('root ::= "[" ws (root ("," ws root)*)? "]" ws | num\nnum ::= [0-9]+ ws\nws ::= (" " ws)?')
    bodies = reduced_bodies(rules, facts_of(rules))
    assert list(bodies) == ["root"]
    scalar, nested = bodies["root"].items
    assert isinstance(scalar, Terminal) and isinstance(nested, Sequence)
    kinds = [type(item) for item in nested.items]
    assert kinds == [Terminal, Repeat, Terminal]
    fragment = root_payload(rules)[0].expand()
    assert not fragment.edges and len(fragment.calls) == 2
    assert all(isinstance(callee, ByteDfa | GreedyDfa) for callee, _ in fragment.calls)


def test_alternatives_that_begin_alike_share_their_beginning():
    rules = rules_of('root ::= name "(" root ")" | name "=" root | name "=" name\nname ::= [a-z]+')
    body = reduced_bodies(rules, facts_of(rules))["root"]
    assert isinstance(body, Sequence)
    assert body.items[0] == Terminal(regular.Repeat(regular.char_class([(97, 122)]), 1, None))
    assert isinstance(body.items[1], Choice)


def test_grammars_of_many_levels_are_joined():
    def calls(levels: int, joined: bool | None) -> int:
        """How deep calls go before the first byte."""
        rules = [f'e{i} ::= e{i + 1} ("{chr(48 + i)}" e{i})?' for i in range(levels)]
        rules += ["root ::= e0", f'e{levels} ::= [a-z] | "(" e0 ")"']
        payload, depth = root_payload(rules_of("\n".join(rules)), joined=joined)[0], 0
        while payload is not None and not isinstance(payload, ByteDfa | GreedyDfa):
            called = payload.expand().calls
            payload, depth = called[0][0] if called else None, depth + 1
        return depth

    assert calls(14, None) == calls(14, True) < calls(14, False)
    assert calls(5, None) == calls(5, False)


def test_pieces_that_begin_alike_are_stepped_together():
    root, _ = root_payload(rules_of('root ::= "ab" root "c" | "ad" root "e" | ("ab" | "x")'))
    frames = Frames(root)
    for text in ("a", "ab", "abad", "abx", "x"):
        assert len(frames.step(frames.start, text)) == 1, text


def test_a_repetition_that_is_long_is_counted():
    rules = rules_of('root ::= "[" [a-z]{2,500} "]" root | ("é" | "aé"){0,100}')
    frames = Frames(root_payload(rules)[0])
    frames.step(frames.start, "[ab]éaé")
    assert {(p.least, p.most) for p in frames.shapes if isinstance(p, Counted)} == {(2, 500), (1, 100)}
    assert frames.accepts(frames.step(frames.start, "[" + "a" * 500 + "]" + "aé" * 100))
    assert not frames.step(frames.start, "[" + "a" * 501)
    assert not frames.step(frames.start, "[a]")
    assert not frames.step(frames.start, "é" * 101)


@pytest.mark.parametrize("text", ['root ::= [a-z]{0,100} "a"', "root ::= [ab]{0,3} [bc]{0,90}"])
def test_a_repetition_that_the_next_part_may_go_on_is_not_counted(text):
    assert isinstance(root_payload(rules_of(text))[0], ByteDfa)


def test_a_piece_beyond_its_budget_is_cut():
    text = 'root ::= [ab]* "a" [ab]{14} "." | "(" root ")"'
    root, _ = root_payload(rules_of(text))
    frames = Frames(root)
    word = "bab" * 5
    assert frames.accepts(frames.step(frames.start, f"({word}.)")) == (word[-15] == "a")
    assert frames.accepts(frames.step(frames.start, f"(a{word[1:]}.)"))


def test_repetitions_of_what_is_recursive_unroll_within_the_budget():
    text = 'root ::= ("(" root? ")"){2,30}'
    frames = Frames(root_payload(rules_of(text))[0])
    assert not frames.accepts(frames.step(frames.start, "()"))
    assert frames.accepts(frames.step(frames.start, "()" * 30))
    assert not frames.step(frames.start, "()" * 30 + "(")
    with pytest.raises(LimitError) as caught:
        root_payload(rules_of('root ::= "x"\n | a\na ::= ("(" root ")" a?){2,3000}'), RuleLimits(positions=10_000))
    assert caught.value.limit == "positions" and caught.value.given > 10_000
    assert "line 1" in str(caught.value) or "line 3" in str(caught.value)


def test_embedded_states_take_part():
    inner = root_payload(rules_of('root ::= "<" root ">" | "x"'))[0]
    assert isinstance(inner, RuleState)
    body = Sequence((Repeat(Embedded(inner, False), 1, None), Terminal(literal("."))))
    frames = Frames(root_payload(RuleSet({"root": Rule("root", body)}, "root"))[0])
    assert frames.accepts(frames.step(frames.start, "<x>x<<x>>."))
    assert not frames.step(frames.start, "<>") and not frames.step(frames.start, ".")


def test_equal_places_are_equal_states():
    root, _ = root_payload(rules_of('root ::= "[" (root ("," root)*)? "]"'))
    frames = Frames(root)
    for depth in range(6):
        assert frames.step(frames.start, "[" * depth + "[],[],[]") or depth == 0
    assert len(frames.shapes) <= 4


def test_a_chain_of_operators_nests_no_frames():
    root, _ = root_payload(rules_of('root ::= root "+" root | "(" root ")" | "1"'))
    frames = Frames(root)
    stacks = frames.step(frames.start, "1" + "+1" * 50)
    assert len(stacks) == 1 and len(next(iter(stacks))) <= 2


def test_states_are_the_same_after_every_history():
    text = 'root ::= x "a" | "r" root "s"\nx ::= root "b" | "x"'
    one, two = (Frames(root_payload(rules_of(text))[0]) for _ in range(2))
    one.step(one.start, "rrrs"), two.step(two.start, "xaba")
    for frames in (one, two):
        frames.step(frames.start, "rxasbaba")
    names = [{(s.goal, s.at) for s in f.shapes if isinstance(s, RuleState)} for f in (one, two)]
    assert names[0] & names[1]


# What the states say.

HAND_WRITTEN = [
    'root ::= root "a" | root "b" root | "é"',
    'root ::= x "a" | "b"\nx ::= y "b" | root "A" | "a"\ny ::= x | root "b" y',
    'root ::= e root "a" e | "b"\ne ::= "" | "b" | e "a" "b"',
    'root ::= n n n root? "a"\nn ::= root "b" | ""',
    'root ::= ("a"?)* (("b"? root?)* "A")*',
    'root ::= (root? "a"?){0,2} "b"',
    'root ::= "a" root "b" | "a" root "A" | ""',
    "root ::= root root | [ab] | root",
    'root ::= "a" root? | "ab" root? "b" | "aa" root "é"',
    'root ::= "é" root "a" | "\\u00e8" root | [à-ë] | "b"{2}',
    'root ::= a | b\na ::= "a" a "a" | "b"\nb ::= "a" b "b" | "b"',
    'root ::= dead | "a" (dead | root "b")? \ndead ::= "b" dead',
    "root ::= [^a] root . | []* | [^\\n]",
    'root ::= (("a" | "b" root){2,3} "A")? ',
]


@pytest.mark.parametrize("limits", [RuleLimits(), TINY], ids=["usual", "tiny"])
@pytest.mark.parametrize("grammar", HAND_WRITTEN)
def test_states_judge_all_short_texts_as_the_oracle_does(grammar, limits):
    check(grammar, alphabet=("a", "b", "A", "é"), most=5, limits=limits)


def test_states_judge_small_grammars_with_left_recursion_as_the_oracle_does():
    """Every pair of alternatives for two rules, of all that three symbols can make."""
    items = ("root", "x", '"a"', '"b"', '""')
    bodies = [" ".join(pair) for pair in product(items, repeat=2)]
    for i, (one, two) in enumerate(product(bodies, repeat=2)):
        if i % 7 == 0:
            check(f'root ::= {one} | {two} | "a"\nx ::= {two} x? | {one} | "b" root', ("a", "b"), 4)


@EXAMPLES
@given(strategies.ebnf_grammars())
def test_states_judge_drawn_grammars_as_the_oracle_does(grammar):
    check(grammar)


@EXAMPLES
@given(strategies.ebnf_grammars(left_recursion=True))
def test_states_judge_drawn_grammars_with_left_recursion_as_the_oracle_does(grammar):
    check(grammar)


@EXAMPLES
@given(strategies.ebnf_grammars(left_recursion=True))
def test_states_that_are_hardly_ever_tables_judge_as_the_oracle_does(grammar):
    check(grammar, limits=TINY)


def test_every_leaf_is_a_language_with_a_text_in_it():
    root, _ = root_payload(rules_of(HAND_WRITTEN[2]))
    frames = Frames(root)
    frames.step(frames.start, "bbabaa")
    for shape in frames.shapes.values():
        for target in (t for call in shape.calls for t in call):
            assert not isinstance(target, ByteDfa) or (
                not target.is_empty and target != compile_regular(regular.EPSILON)
            )


def test_following_all_that_a_rule_may_begin_with_in_one_frame_changes_no_sentence():
    for text in (
        'root ::= sum ("," sum)*\nsum ::= product | sum "+" product\nproduct ::= atom | product "*" atom\n'
        'atom ::= "1" | "(" root ")" | "-" atom',
        'root ::= a "x" | b "y" | "1"\na ::= b "," | "(" a\nb ::= opt "1" | a "*"\nopt ::= "-"?',
        'root ::= root "+" root | a\na ::= b | b "," root\nb ::= "1" | "(" root ")"',
    ):
        apart, joined = (Frames(root_payload(rules_of(text), joined=flag)[0]) for flag in (False, True))
        for length in range(5):
            for letters in product("1+*(),-xy", repeat=length):
                word = "".join(letters)
                found = [frames.accepts(frames.step(frames.start, word)) for frames in (apart, joined)]
                assert found[0] == found[1], (text, word)


def test_alternatives_by_the_thousand_are_told_apart_in_time():
    words = " | ".join(f'"w{i}"' for i in range(4000))
    began = time.thread_time()
    assert bridle.validate(bridle.Grammar.from_ebnf(f"root ::= {words}"), "w3999")
    assert time.thread_time() - began < 20
