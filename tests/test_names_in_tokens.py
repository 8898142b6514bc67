"""Tokens that end one name or string and begin the next: what has just been named must not come again."""

from __future__ import annotations

import pytest

import bridle
from bridle.automata.fragment import Fragment
from oracle import allowed_tokens, vocabulary_of

CASES = [
    ({"type": "array", "items": {"type": "string", "pattern": "^(a|b.*)$"}, "uniqueItems": True}, '["', 'a","a'),
    ({"patternProperties": {"^(a|b.*)$": {"type": "integer"}}, "additionalProperties": False}, '{"', 'a":1,"a'),
    ({"patternProperties": {"^(aa?|b.*)$": {}}, "additionalProperties": False}, '{"a', 'a":1,"aa'),
    ({"type": "array", "items": {"type": "string", "pattern": r"^(\+|b.*)$"}, "uniqueItems": True}, '["', '+","+'),
    ({"type": "array", "items": {"enum": ["a", "ab"]}, "uniqueItems": True}, '["', 'a","a'),
]


@pytest.mark.parametrize(("schema", "text", "token"), CASES)
def test_a_mask_and_accept_agree_on_tokens_that_end_a_name_and_begin_another(schema, text, token):
    pieces = [token, token + '"', token[:-1], token + "b", "a", "b", '"', ":", "1", ",", "]", "}", '","', '":1,"']
    vocabulary = vocabulary_of([piece.encode() for piece in dict.fromkeys(pieces)])
    grammar = bridle.Grammar.from_json_schema({"type": ["array", "object"], **schema}, property_order="any")
    matcher = bridle.Matcher(bridle.compile(grammar, vocabulary))
    assert matcher.accept_bytes(text)
    allowed = allowed_tokens(matcher)
    for i in range(len(vocabulary.tokens)):
        if vocabulary.tokens[i]:
            assert (i in allowed) == matcher.fork().accept_token(i), vocabulary.tokens[i]


class End:
    """White space, then the end; called by Root, which goes on with white space of its own."""

    def expand(self) -> Fragment:
        return Fragment(ends=True, whitespace=2)


class After:
    def expand(self) -> Fragment:
        return Fragment(edges=((97, 97, None),), whitespace=2)


class Root:
    def expand(self) -> Fragment:
        return Fragment(calls=((End(), After()),))


def test_white_space_goes_on_behind_a_frame_that_ends_in_it():
    class Source:
        root, notes = Root(), ()

    vocabulary = vocabulary_of([b" ", b"  ", b"   ", b"    ", b"     ", b"a", b"    a", b"     a"])
    matcher = bridle.Matcher(bridle.compile(Source(), vocabulary))
    assert allowed_tokens(matcher) == {0, 1, 2, 3, 5, 6}


@pytest.mark.parametrize("most", [0, 1, 2, 3, 64])
@pytest.mark.parametrize("closed", [False, True])
def test_white_space_within_tokens_is_within_its_bound_wherever_it_stands(most, closed):
    ends = ["", '"a"', '"a":', '"a": ["x"', '"a": ["x"]', '"x"', '"x",', "1", "1,", "[", "{", "]", "}", "],"]
    ends += ['"', '":', '":"']
    runs = ["", " ", "  ", "\n", "\n\n", "\n\n\n", "\n \n\n", "   \t"]
    runs += ["\n}", "\n\n]", '\n"', '\n\n"a', " :", "\n\n:", "\n,\n", "\n\n\n\n,"]
    pieces = dict.fromkeys(end + run for end in ends for run in runs if end + run)
    vocabulary = vocabulary_of([piece.encode() for piece in pieces])
    schema = {"type": "object", "properties": {"a": {"items": {"type": "string"}}, "b": {"type": "integer"}}}
    schema["additionalProperties"] = not closed
    compiled = bridle.compile(bridle.Grammar.from_json_schema(schema, max_whitespace=most), vocabulary)
    texts = ("", "{", '{"', '{"a', '{"a"', '{"a":', '{"a":["x', '{"a":["x"', '{"a":[]', '{"a":[],', '{"b":1', '{"x":{')
    for text in texts:
        matcher = bridle.Matcher(compiled)
        assert matcher.accept_bytes(text) or (closed and text == '{"x":{')
        allowed = allowed_tokens(matcher)
        for i, piece in enumerate(pieces):
            assert (i in allowed) == matcher.fork().accept_token(i), (text, piece)
