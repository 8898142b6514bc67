"""Lark grammars: small ones, exhaustively, against lark itself; what is refused, and where; imports; extensions."""

import json
import re
from itertools import product
from pathlib import Path

import pytest

import bridle
from bridle.automata.greedy_dfa import GreedyDfa
from bridle.automata.matcher import Matcher
from bridle.grammar import lark_lexer
from bridle.grammar.lark_grammar import read_lark_rules
from bridle.grammar.lark_lexer import LarkLexer, _meet
from bridle.grammar.lark_loading import Imports, load_rules
from bridle.grammar.lark_text import read_text
from bridle.grammar.preferred_match import preferred_match
from bridle.grammar.rules import Embedded, Repeat
from bridle.grammar.saved_grammars import grammar_of
from bridle.grammar.validation import reading_of
from naive_lark import NaiveLark
from oracle import allowed_tokens
from rules_by_earley import NaiveRules

CASES = Path(__file__).parent / "cases" / "lark"
SMALL = json.loads((CASES / "small.json").read_text())
MALFORMED = json.loads((CASES / "malformed.json").read_text())


def strings(alphabet: str, length: int) -> list[str]:
    return ["".join(letters) for n in range(length + 1) for letters in product(alphabet, repeat=n)]


@pytest.mark.parametrize("case", SMALL, ids=[case["rule"] for case in SMALL])
def test_small_grammars_have_the_sentences_that_lark_parses(case: dict) -> None:
    oracle = NaiveLark(case["grammar"], case["alphabet"])
    rules, _ = read_lark_rules(case["grammar"], "start", Imports())
    naive = NaiveRules(rules)
    compiled = reading_of(bridle.Grammar.from_lark(case["grammar"]))
    for text in strings(case["alphabet"], case["length"]):
        expected = oracle.accepts(text)
        assert naive.accepts(text.encode()) == expected, (text, "rules")
        matcher = Matcher(compiled)
        found = matcher.accept_bytes(text.encode()) and matcher.is_accepting()
        assert found == expected, (text, "machine")


# Those whose sentences are short enough to be completed within the length that is enumerated.
@pytest.mark.parametrize("rule", [
    "nothing leads to where only held bytes could follow", "a longer token that fails is not given up",
    "what is ignored competes", "patterns that begin alike", "a lookahead at a token's end holds",
    "a comment that begins like an operator", "ignored tokens follow each other",
    "a lazy pattern ends as early as it can", "characters that share their first byte",
])  # fmt: skip
def test_what_the_machine_lets_begin_can_be_completed_and_nothing_else_is_refused(rule: str) -> None:
    case = next(case for case in SMALL if case["rule"] == rule)
    oracle = NaiveLark(case["grammar"], case["alphabet"])
    longest = case["length"] - 2
    sentences = [text for text in strings(case["alphabet"], longest + 3) if oracle.accepts(text)]
    begun = {text[:i] for text in sentences for i in range(len(text) + 1)}
    compiled = reading_of(bridle.Grammar.from_lark(case["grammar"]))
    for text in strings(case["alphabet"], longest):
        assert Matcher(compiled).accept_bytes(text.encode()) == (text in begun), text


@pytest.mark.parametrize("case", MALFORMED, ids=[case["grammar"].replace("\n", " ")[:60] for case in MALFORMED])
def test_what_is_wrong_is_told_with_its_place(case: dict) -> None:
    with pytest.raises(bridle.GrammarError) as caught:
        bridle.Grammar.from_lark(case["grammar"])
    assert (caught.value.line, caught.value.column) == (case["line"], case["column"]), str(caught.value)
    assert re.search(case["says"], str(caught.value), re.IGNORECASE), str(caught.value)


def test_limits_end_what_would_explode() -> None:
    for text in (
        "start: " + '("a"|"b") ' * 40, "start: " + '["a"] ' * 40, 'start: ("a"|"b")~30', 'start: "a"~99999999999',
        "start: A\nA: /(((a{999}){999}){999}){999}/",
    ):  # fmt: skip
        with pytest.raises(bridle.LimitError):
            bridle.Grammar.from_lark(text)


def test_patterns_match_as_pythons_re_does() -> None:
    patterns = [
        "a|ab", "ab|a", "(a|ab)(c|bcd)?", "a*?b", "(?:a|b)*?ab", "a+?", "(ab?)+", "a{1,2}?b?", "(?<!b)a+", "a(?!b)c?",
        "(?:(?!ab)[abc])+", "a\\b", "[ab]+\\b", "(?i:ab)c?", "(a?b?)*c", "a(?!b|ca)", "(?<=a)b|a", "\\Ba|b", "b??a",
    ]  # fmt: skip
    for pattern in patterns:
        found = preferred_match(pattern)
        for text in strings("abc", 5):
            taken = re.match(pattern, text)
            state, end = 1, 0 if found.accepting[1] else None
            for i, byte in enumerate(text.encode()):
                entry = found.table[state][found.class_of[byte]]
                if entry <= 0:
                    # Here the automaton's token ends, or it cannot: then there is none that it ends with.
                    end = end if entry == 0 and end == i else None
                    break
                state = entry
                end = i + 1 if found.accepting[state] else None
            # Where it says that a match ends, Python's does; and it knows all the texts that are matched whole.
            assert end is None or (taken is not None and taken.end() == end), (pattern, text)
            if taken is not None and taken.end() == len(text):
                assert found.takes(text.encode()), (pattern, text)


def test_nothing_is_read_but_what_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "local.lark").write_text('A: "secret"\n')
    monkeypatch.chdir(tmp_path)
    for line in ("%import .local.A", "%import local.A"):
        with pytest.raises(bridle.GrammarError, match=r"no grammar local\.lark"):
            bridle.Grammar.from_lark(f"start: A\n{line}\n")


def test_imports_are_found_in_import_paths_and_saved_with_the_grammar(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "words.lark").write_text('%import .letters.LETTER\nword: LETTER+ "."\n')
    (tmp_path / "lib" / "letters.lark").write_text('LETTER: "a".."c"\n')
    grammar = bridle.Grammar.from_lark("start: word word\n%import .lib.words.word\n", import_paths=[tmp_path])
    assert bridle.validate(grammar, "ab.c.") and not bridle.validate(grammar, "ab.d.")
    for file in ("words", "letters"):
        (tmp_path / "lib" / f"{file}.lark").unlink()
    again = grammar_of(json.loads(json.dumps(grammar.recipe)))
    assert bridle.validate(again, "ab.c.") and not bridle.validate(again, "ab.d.")


def test_a_fault_in_an_imported_file_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "lib.lark").write_text('A: "a\n')
    with pytest.raises(bridle.GrammarError, match=r"in lib\.lark"):
        bridle.Grammar.from_lark("start: A\n%import lib.A\n", import_paths=[tmp_path])


def test_the_terminals_of_larks_library_are_known() -> None:
    names = ["INT", "SIGNED_FLOAT", "ESCAPED_STRING", "CNAME", "WS", "NEWLINE"]
    names += ["CPP_COMMENT", "C_COMMENT", "SQL_COMMENT"]
    text = "start: (" + " | ".join(names) + ")*\n" + "".join(f"%import common.{name}\n" for name in names)
    grammar = bridle.Grammar.from_lark(text)
    for good in ('1 -2.5e3 "a\\"b" x_1\r\n// c\n/* c\n** */--x', '""""'):
        assert bridle.validate(grammar, good), good
    for bad in ('"', '"a\n"', "é", "/* *"):
        assert not bridle.validate(grammar, bad), bad


def test_json_schemas_stand_in_rules() -> None:
    grammar = bridle.Grammar.from_lark(
        'start: ("call" NAME body)+\nbody: %json {\n  "type": "object", "properties": {"n": {"type": "integer"}},\n'
        '  "required": ["n"], "additionalProperties": false}\nNAME: /[a-z]+/\n%ignore " "\n'
    )
    assert bridle.validate(grammar, 'call f {"n": 1} call g{ "n":2 }')
    for bad in ('call f {"n": true}', "call f {}", 'callf {"n": 1}', 'call f {"n": 1} g'):
        assert bridle.validate(grammar, bad).ok == (bad == 'callf {"n": 1}'), bad


def test_rules_with_attributes_end_as_early_as_they_can() -> None:
    lazy = bridle.Grammar.from_lark('start: x "b"\nx[lazy]: /.*<end>/\n')
    assert bridle.validate(lazy, "foo<end>b") and not bridle.validate(lazy, "foo<end>foo<end>b")
    suffix = bridle.Grammar.from_lark('start: x "b"\nx[capture, suffix="<end>"]: /.*/\n')
    assert bridle.validate(suffix, "foo<end>b") and not bridle.validate(suffix, "foo<end>foo<end>b")
    stop = bridle.Grammar.from_lark('start: x "<end>"\nx[stop="<end>"]: /.*/\n')
    assert bridle.validate(stop, "foo<end>") and bridle.validate(stop, "<end>")
    assert not bridle.validate(stop, "foo<end>foo<end>")
    trigger = bridle.Grammar.from_lark(
        'start: (call)* TEXT?\ncall: head "=" /[0-9]+/ ";"\nhead[lazy]: TEXT? "<f"\nTEXT: /(.|\\n)+/\n'
    )
    assert bridle.validate(trigger, "hello <f=12; and <f=3; bye")


SPECIAL = {"<|x|>": 257, "<tool>": 258, "[INST]": 259}
WITH_SPECIAL = bridle.Vocabulary(
    [*[bytes((b,)) for b in range(256)], *[b""] * 4, b"<tool>", b"ab", b"12"],
    stop_token_ids=256,
    special_tokens=SPECIAL,
)
SPECIAL_CASES = json.loads((CASES / "special_tokens.json").read_text())


def steps_of(text: str) -> list[int]:
    """The bytes of a text, and ids of the special tokens that stand in it as «<|x|>»."""
    pieces = re.split("«(.*?)»", text)
    return [step for i, piece in enumerate(pieces) for step in ([SPECIAL[piece]] if i % 2 else piece.encode())]


@pytest.mark.parametrize("case", SPECIAL_CASES, ids=[case["rule"] for case in SPECIAL_CASES])
def test_special_tokens_stand_in_rules(case: dict) -> None:
    grammar = bridle.Grammar.from_lark(case["grammar"])
    compiled = bridle.compile(grammar, WITH_SPECIAL)
    reference = bridle.allocate_token_bitmask(1, WITH_SPECIAL.size)
    found = {}
    for text in case["texts"]:
        matcher, steps, at = Matcher(compiled), steps_of(text), 0
        for at in range(len(steps) + 1):
            allowed = allowed_tokens(matcher)
            matcher.fill_reference_bitmask(reference)
            assert allowed == {i for i in range(WITH_SPECIAL.size) if reference[0, i >> 5] >> (i & 31) & 1}
            if at == len(steps) or not matcher.accept_token(steps[at]):
                break
        found[text] = at if at < len(steps) else "sentence" if 256 in allowed else "beginning"
        if found[text] == "sentence" and "<[" not in case["grammar"]:
            assert bridle.validate(grammar, re.sub("[«»]", "", text), as_generated=True)
    assert found == case["texts"]


def test_where_llguidance_judges_otherwise_the_case_says_why() -> None:
    assert [case["rule"] for case in SPECIAL_CASES if ("llguidance" in case) != ("because" in case)] == []


def test_a_special_token_that_the_vocabulary_lacks_is_told_with_its_place() -> None:
    grammar = bridle.Grammar.from_lark('start: "a" x\nx: "b" <|y|>\nunused: <|z|>\n')
    assert [token.key for token in grammar.special_tokens] == ["<|y|>"]
    with pytest.raises(bridle.GrammarError, match=r"no special token '<\|y\|>'") as caught:
        bridle.compile(grammar, WITH_SPECIAL)
    assert (caught.value.line, caught.value.column) == (2, 8)
    again = grammar_of(json.loads(json.dumps(grammar.recipe)))
    assert again.special_tokens == grammar.special_tokens


def test_spans_of_a_text_stand_in_rules() -> None:
    words = bridle.Grammar.from_lark(
        'start: "<" %regex {"substring_words": "to be, or not"} ">"\n%ignore " "\n'
    )
    for text, ok in (("<to be>", True), ("<be, or not>", True), ("<>", True), ("< or >", True), ("<to or>", False)):
        assert bridle.validate(words, text).ok == ok, text
    assert not bridle.validate(words, "<o be>")
    for name, good in (("chars", "o b"), ("lines", "to be")):
        text = f'start: (%regex {{"substring_{name}": "to be\\nor"}} ";")+'
        grammar = bridle.Grammar.from_lark(text)
        assert bridle.validate(grammar, f"{good};;") and not bridle.validate(grammar, "x;")
    large = json.dumps("word " * 5000 + "".join(chr(0x4E00 + i) for i in range(20_000)))
    grammar = bridle.Grammar.from_lark(f'start: "<" %regex {{"substring_chars": {large}}} ">"')
    assert bridle.validate(grammar, "<ord wor>") and not bridle.validate(grammar, "<worrd>")


def test_a_token_before_a_schema_does_not_end_where_it_would_be_longer() -> None:
    for body in ('%json {"type": "integer"}', '%regex {"substring_chars": "-12"}'):
        grammar = bridle.Grammar.from_lark(f"start: NAME {body}\nNAME: /[a-z][a-z0-9]*/\n")
        assert bridle.validate(grammar, "ab-12") and not bridle.validate(grammar, "-12")
        verdict = bridle.validate(grammar, "ab12")
        assert verdict.ok == ("%regex" in body)  # the span may be empty; an integer has yet to come


def test_a_token_after_which_a_schema_could_only_make_it_longer_is_no_dead_end() -> None:
    with pytest.raises(bridle.UnsatisfiableError):
        bridle.Grammar.from_lark('start: NAME %json {"enum": ["a", "b"]}\nNAME: /[a-z"]+/\n')


def test_rules_may_have_a_temperature() -> None:
    text = (
        'start: "a" x y "!"\nx[temperature=0.5]: NAME | "[" y "]"\ny[temperature=2, lazy]: /[0-9]+;/\nz: NAME\n'
        'NAME: /[a-z]+/\n%ignore " "\n'
    )
    grammar = bridle.Grammar.from_lark(text)
    plain = bridle.Grammar.from_lark(re.sub(r"temperature=[0-9.]+,? ?", "", text).replace("[]", ""))
    for sentence in ("a bc 12;!", "a [ 1; ] 2; !", "abc 1;!", "a b c 1;!", "a 1;!", "a b 1;2;!"):
        assert bridle.validate(grammar, sentence).offset == bridle.validate(plain, sentence).offset, sentence
    matcher = Matcher(bridle.compile(grammar, WITH_SPECIAL))
    # What is ignored behind a rule's last token belongs to the rule, which goes on until something else comes.
    steps = [("a", 0.5), (" ", 0.5), ("[", 2), ("1", 2), (";", 2), ("]", 2), ("2", 2), (";", 2), ("!", None)]
    for step, wanted in steps:
        assert matcher.accept_bytes(step) and matcher.temperature() == wanted, step
    alike = bridle.Grammar.from_lark('start: x y\nx[temperature=0.5]: "a"+\ny[temperature=0.1]: "b" z\nz: "a"+\n')
    matcher = Matcher(bridle.compile(alike, WITH_SPECIAL))
    assert matcher.temperature() == 0.5 and matcher.accept_bytes("ab") and matcher.temperature() == 0.1
    whole = bridle.Grammar.from_lark('start[temperature=0.25]: "a" "b"\n')
    matcher = Matcher(bridle.compile(whole, WITH_SPECIAL))
    assert matcher.temperature() == 0.25 and matcher.accept_bytes("ab") and matcher.is_accepting()


def test_conflicts_and_contexts_that_bridle_reads_otherwise_are_noted() -> None:
    dangling = bridle.Grammar.from_lark('start: s\ns: "i" s | "i" s "e" s | "x"\n')
    assert any("not LALR(1)" in note for note in dangling.notes)
    same_end = bridle.Grammar.from_lark('start: a "x" | b "x"\na: "1"\nb: "1"\n')
    assert any("not LALR(1)" in note for note in same_end.notes) and bridle.validate(same_end, "1x")
    assert bridle.Grammar.from_lark('start: "a"').notes == ()


def test_what_holds_a_byte_but_no_character_that_may_follow_is_a_lenient_leaf() -> None:
    grammar = bridle.Grammar.from_lark('start: W "\u00e8"\nW: /[a-z\u00e9]+/\n')
    assert bridle.validate(grammar, "a\u00e9\u00e8") and not bridle.validate(grammar, "a\u00e9")
    rules, _ = read_lark_rules('start: W "\u00e8" | N "."\nW: /[a-z\u00e9]+/\nN: /[0-9]+/\n', "start", Imports())

    def leaves(node: object) -> list:
        if isinstance(node, Embedded):
            return [node.target]
        inner = [node.item] if isinstance(node, Repeat) else getattr(node, "items", ())
        return [leaf for item in inner for leaf in leaves(item)]

    found = [leaf for rule in rules.rules.values() for leaf in leaves(rule.body) if isinstance(leaf, GreedyDfa)]
    assert {leaf.lenient for leaf in found if leaf.holds[leaf.accepting != 0].any()} == {False, True}


def test_a_greedy_leaf_does_not_end_before_the_first_byte_of_what_might_go_on() -> None:
    grammar = bridle.Grammar.from_lark('start: (W | "€")+\nW: /\\w+/\n%ignore " "\n')
    assert bridle.validate(grammar, "aé €") and bridle.validate(grammar, "€a")
    assert not bridle.validate(grammar, "a€")  # some letters begin with the same byte; Lark would read it


def test_start_is_any_rule() -> None:
    grammar = bridle.Grammar.from_lark('a: "x" b\nb: "y"\n', start="b")
    assert bridle.validate(grammar, "y") and not bridle.validate(grammar, "xy")
    with pytest.raises(bridle.GrammarError, match="did you mean 'begin'"):
        bridle.Grammar.from_lark('begin: "x"', start="begun")


def test_an_empty_range_is_told_as_a_fault_of_the_grammar():
    with pytest.raises(bridle.GrammarError, match="it is malformed"):
        bridle.Grammar.from_lark('start: "c".."a"')


def test_strings_get_in_the_way_of_no_more_than_those_that_they_begin_with() -> None:
    words = strings("ab", 3)[1:]
    rules = "\n".join(f'W{i}: "{word}"' for i, word in enumerate(words))
    text = f'start: ({" | ".join(f"W{i}" for i in range(len(words)))} | P | I)*\n{rules}\nP: /a+c/\nI: "ab"i\n'
    source = read_text(text)
    loaded = load_rules(source, "start", Imports())
    matches = {t.name: preferred_match(t.pattern.to_regexp()) for t in loaded.terminals}
    lexer = LarkLexer(loaded.terminals, matches)
    for name, match in matches.items():
        near = {name, *lexer.neighbours(name)}
        for other, rival in matches.items():
            assert other in near or not _meet(rival, match), (other, name)


def test_pairs_of_terminals_that_are_followed_together_grow_as_a_list_of_keywords_does(monkeypatch) -> None:
    counted = []

    def counting(first, second):
        counted.append((first, second))
        return _meet(first, second)

    monkeypatch.setattr(lark_lexer, "_meet", counting)
    words = strings("abcdefgh", 2)[9:]
    keywords = " | ".join(f'"{word}"' for word in words)
    bridle.Grammar.from_lark(f'start: (keyword " ")*\nkeyword: {keywords}\n')
    assert len(words) == 64 and len(counted) < 4 * len(words)
    counted.clear()
    grammar = bridle.Grammar.from_lark(f'start: (keyword | NAME)*\nkeyword: {keywords}\nNAME: /[a-z]+/\n%ignore " "\n')
    assert len(counted) < 4 * len(words)
    assert bridle.validate(grammar, f"{words[3]} abc {words[40]}x")


@pytest.mark.parametrize("case", MALFORMED, ids=[case["grammar"] for case in MALFORMED])
def test_no_message_has_the_internals_of_lark(case: dict) -> None:
    with pytest.raises(bridle.GrammarError) as caught:
        bridle.Grammar.from_lark(case["grammar"])
    assert not re.search(r"Token\(|Terminal|__ANON|__IGNORE|_NL|expected_|SyntaxError", caught.value.message)


@pytest.mark.parametrize(("grammar", "place"), [
    ('start: "b"\n  | "a"~99999999', "line 2, column 8"),
    ('start: "b"\n  | "a"~2..99999999', "line 2, column 10"),
    ('start: A\nA: "a"~99999999', "terminal 'A', line 2, column 1"),
    ("start: A\nA: /a{99999}/", "terminal 'A', line 2, column 1"),
])  # fmt: skip
def test_a_limit_that_a_grammar_meets_is_told_with_its_place(grammar: str, place: str) -> None:
    with pytest.raises(bridle.LimitError, match=f"at {place}: "):
        bridle.Grammar.from_lark(grammar)


def test_what_is_wrong_in_an_imported_file_is_told_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "words.lark").write_text("WORD: (\n")
    says = r"this '\(' is not closed \(in words\.lark, which is imported, line 1, column 7\)"
    with pytest.raises(bridle.GrammarError, match=says) as caught:
        bridle.Grammar.from_lark("start: WORD\n%import words.WORD\n", import_paths=[tmp_path])
    assert (caught.value.line, caught.value.column) == (2, 9)
