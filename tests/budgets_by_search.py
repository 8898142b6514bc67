"""Budgets of tokens by trying everything: the fewest tokens that complete a text, by layers of matchers without one."""

from __future__ import annotations

import bridle
from oracle import allowed_tokens

__all__ = ["Fewest"]


class Fewest:
    """The true minimum of a grammar's configurations, each found once."""

    def __init__(self, *, longest: int) -> None:
        """longest : tokens beyond which is not looked; what would need more counts as one more."""
        self.longest = longest
        self._known: dict[tuple[int, int], int] = {}
        self._led_to: dict[tuple[int, int], list[bridle.Matcher]] = {}

    def of(self, matcher: bridle.Matcher) -> int:
        """The fewest tokens that complete a matcher's text, the stop token included; 0 once it has ended."""
        if matcher.is_terminated():
            return 0
        key = matcher.configuration
        if key not in self._known:
            self._known[key] = self._searched(matcher)
        return self._known[key]

    def _searched(self, matcher: bridle.Matcher) -> int:
        layer, seen = [matcher], {matcher.configuration}
        for depth in range(self.longest):
            if any(one.is_accepting() for one in layer):
                return depth + 1
            following = []
            for one in layer:
                for after in self._after(one):
                    if after.configuration not in seen:
                        seen.add(after.configuration)
                        following.append(after)
            layer = following
        return self.longest + 1

    def _after(self, matcher: bridle.Matcher) -> list[bridle.Matcher]:
        key = matcher.configuration
        if key not in self._led_to:
            found = {}
            for token in allowed_tokens(matcher):
                after = matcher.fork()
                assert after.accept_token(token)
                if not after.is_terminated():
                    found[after.configuration] = after
            self._led_to[key] = list(found.values())
        return self._led_to[key]
