"""One request's text inside its grammar, as SGLang's scheduler drives it.

The contract, as SGLang's own backends have it: a step fills a row of the mask unless the text `is_terminated`, and
`accept_token` gets what was sampled. It raises ValueError for a token that the grammar refuses, upon which the request
alone is aborted. Drafts of several tokens are verified as a tree: accept, fill, and `rollback` by one, depth first.
`copy` is a new text in the same grammar: the cache keeps one object, and every request gets a copy of it.

A text that meets one of its `Limits` is ended: from there on its masks allow stop tokens alone, and the reason is
logged. INVARIANT: the matcher holds the text but for `_behind`, the tokens that came from there on; so rollback takes
from these first, and a text that is taken back to where the matcher stands is asked again.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from sglang.srt.constrained.base_grammar_backend import BaseGrammarObject

from ...automata.batch_fill import fill_known_bitmasks
from ...automata.bitmask_rows import as_array, write_stop_tokens
from ...automata.compiled import Compiled
from ...automata.errors import BridleError
from ...automata.matcher import Matcher
from ..conflict import refusal
from .vocab_masks import allocate_mask, allow_everything, apply_mask, move_mask

__all__ = ["BridleGrammar"]

logger = logging.getLogger(__name__)


class BridleGrammar(BaseGrammarObject):
    """A text in a compiled grammar.

    beginning : a matcher behind what was written before the request, which is only ever forked; None: nothing was.
    stats : SGLang's GrammarStats, where it has them.
    """

    def __init__(self, compiled: Compiled, beginning: Matcher | None = None, stats: Any = None) -> None:
        super().__init__()
        self.grammar_stats = stats
        self.current_token: int | None = None
        self._compiled, self._beginning = compiled, beginning
        # A new matcher is on the grammar's present machine; a fork would keep the one alive that it was made on.
        self._matcher = Matcher(compiled) if beginning is None else beginning.fork()
        self._fault: BridleError | None = None
        self._behind: list[int] = []

    @property
    def whole_grammar(self) -> Any:
        """The grammar of the text; None where it had begun before the request."""
        return self._compiled.grammar if self._beginning is None else None

    def copy(self) -> BridleGrammar:
        """A new text in the same grammar, which has not begun."""
        stats = copy.copy(self.grammar_stats)
        if stats is not None:
            stats.is_cache_hit, stats.tree_traversal_time = True, []
        return BridleGrammar(self._compiled, self._beginning, stats)

    # ------------------------------------------------------------------------------------------------ the text

    def accept_token(self, token: int, *args: Any, **kwargs: Any) -> None:
        """Takes a token; one behind the end is ignored. Raises ValueError for one that is not allowed."""
        if self.is_terminated():
            return
        token = int(token)
        if self._fault is None:
            self._accept(token)
        elif token in self._compiled.vocabulary.stop_token_ids:
            self._behind.append(token)
        else:
            raise ValueError(f"token {token} is not allowed: the text was ended ({self._fault})")
        self.current_token = token

    def _accept(self, token: int) -> None:
        try:
            is_accepted = self._matcher.accept_token(token)
        except BridleError as error:
            self._end(error)
            self._behind.append(token)
            return
        if not is_accepted:
            raise ValueError(refusal(self._matcher, token))

    def _end(self, error: BridleError) -> None:
        self._fault = error
        logger.warning("bridle ends a text: %s", error)

    def rollback(self, k: int, *args: Any, **kwargs: Any) -> None:
        """Takes the last k tokens back."""
        behind = min(k, len(self._behind))
        self._matcher.rollback(k - behind)
        del self._behind[len(self._behind) - behind :]
        if not self._behind:
            self._fault = None

    def is_terminated(self) -> bool:
        """Whether a stop token has ended the text; masks are not filled any more then."""
        if self._behind:
            return self._behind[-1] in self._compiled.vocabulary.stop_token_ids
        return self._matcher.is_terminated()

    # ------------------------------------------------------------------------------------------------ masks

    def fill_vocab_mask(self, vocab_mask: torch.Tensor, idx: int, *args: Any, **kwargs: Any) -> None:
        """Writes row `idx`."""
        if self._fault is None:
            try:
                self._matcher.fill_next_token_bitmask(vocab_mask, idx)
                return
            except BridleError as error:
                self._end(error)
        write_stop_tokens(as_array(vocab_mask)[idx], self._compiled.vocabulary)

    @staticmethod
    def fill_vocab_mask_batched(entries: Iterable[Any], vocab_mask: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        """Writes a row for each entry, which has a `grammar` and a `row`; those that are memoised in one call."""
        entries = list(entries)
        plain = [e for e in entries if isinstance(e.grammar, BridleGrammar) and e.grammar._fault is None]
        left = fill_known_bitmasks([e.grammar._matcher for e in plain], vocab_mask, [e.row for e in plain])
        filled = {e.row for e in plain} - {plain[i].row for i in left}
        for entry in entries:
            if entry.row not in filled:
                entry.grammar.fill_vocab_mask(vocab_mask, entry.row)

    def allocate_vocab_mask(
        self, vocab_size: int, batch_size: int, device: Any = None, *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """As vocab_masks.allocate_mask, as wide as the vocabulary, which was made for the model's logits."""
        return allocate_mask(self._compiled.vocabulary.size, batch_size)

    @staticmethod
    def reset_vocab_mask(vocab_mask: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        """Allows everything."""
        allow_everything(vocab_mask)

    @staticmethod
    def move_vocab_mask(vocab_mask: torch.Tensor, device: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        """As vocab_masks.move_mask."""
        return move_mask(vocab_mask, device)

    @staticmethod
    def apply_vocab_mask(logits: torch.Tensor, vocab_mask: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        """As vocab_masks.apply_mask."""
        apply_mask(logits, vocab_mask)

    # ------------------------------------------------------------------------------------------------ jump-forward

    def try_jump_forward(self, tokenizer: Any, *args: Any, **kwargs: Any) -> tuple[list[int], str] | None:
        """([], the text that must come next), whole characters of it; None where there is none.

        Schedulers of 2024 and early 2025 append it and cut all of the output into tokens anew; later ones do not ask.
        """
        if self._fault is not None:
            return None
        try:
            forced = self._matcher.forced_bytes()
        except BridleError:  # the next mask meets this, too, and ends the text
            return None
        if forced and forced[0] & 0xC0 == 0x80:  # the text so far ends within a character, which SGLang cannot show
            return None
        text = forced.decode("utf-8", "ignore")
        return ([], text) if text else None

    def jump_forward_str_state(self, helper: tuple[list[int], str], *args: Any, **kwargs: Any) -> tuple[str, int]:
        """(the text of `try_jump_forward`, a state that nobody needs)."""
        return helper[1], -1

    def jump_and_retokenize(
        self,
        old_output_ids: Sequence[int],
        new_output_ids: Sequence[int],
        next_state: int = -1,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Puts other tokens in place of those accepted so far, from the first that differs on.

        Raises ValueError for tokens that are not a text of the grammar; the text is as it was then.
        """
        same = 0
        for old, new in zip(old_output_ids, new_output_ids):
            if old != new:
                break
            same += 1
        before = self._matcher.fork(), self._fault, self._behind[:], self.current_token
        try:
            self.rollback(len(old_output_ids) - same)
            for token in new_output_ids[same:]:
                self.accept_token(token)
        except ValueError:
            self._matcher, self._fault, self._behind, self.current_token = before
            raise
