"""What a Lark grammar's sentences are, by the definition: lark itself, and no token that ends where another may go on.

Shares no code with the front end. Lark's lexer goes back to a shorter match where a longer one fails; bridle's leaves
look one byte ahead and do not. So a text counts here if lark parses it, and each of its tokens ends where no text
whatever that begins with the next character would have made the token longer, or another one. Which texts there might
be is tried out: everything up to three characters over an alphabet.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import lark

__all__ = ["NaiveLark"]


class NaiveLark:
    """A grammar as lark reads it. alphabet : characters that may make a token longer."""

    def __init__(self, text: str, alphabet: str, start: str = "start") -> None:
        self.parser = lark.Lark(text, parser="lalr", lexer="contextual", start=start)
        self.ahead = ["".join(u) for n in range(3) for u in product(alphabet, repeat=n)]
        self.known: dict[tuple[int, str, str], bool] = {}

    def parses(self, text: str) -> bool:
        try:
            self.parser.parse(text)
        except lark.exceptions.UnexpectedInput:
            return False
        return True

    def accepts(self, text: str) -> bool:
        return self.parses(text) and not self.goes_back(text)

    def goes_back(self, text: str) -> bool:
        """Whether some token ends before a character with which it could have been longer."""
        lexer = self.parser.parser.lexer
        interactive = self.parser.parse_interactive(text)
        at = 0
        while at < len(text):
            scanner = lexer.lexers[interactive.parser_state.position].scanner
            found = scanner.match(_slice(text), at)
            assert found is not None
            token, name = found
            end = at + len(token)
            if end < len(text) and self.held(scanner, token, text[end]):
                return True
            basic = lexer.lexers[interactive.parser_state.position]
            if name in basic.callback and name not in basic.ignore_types:
                name = basic.callback[name](lark.Token(name, token)).type
            if name not in basic.ignore_types:
                interactive.feed_token(lark.Token(name, token))
            at = end
        return False

    def held(self, scanner: Any, token: str, then: str) -> bool:
        key = (id(scanner), token, then)
        if key not in self.known:
            self.known[key] = any(
                len(scanner.match(_slice(token + then + u), 0)[0]) > len(token) for u in self.ahead
            )
        return self.known[key]


def _slice(text: str) -> Any:
    return lark.utils.TextSlice(text, 0, len(text))
