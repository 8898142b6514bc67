"""SGLang's requests as compiled grammars: a key of (kind, text), read and compiled in the backend's thread pool.

The pool, the cache by key and the futures are the base class's. Below them equal requests share one compiled grammar,
also while they are on their way, so that what one text learns serves the others. The first mask is made in the pool,
not by the scheduler, and a grammar without any is refused before it is decoded.

What a request's author got wrong becomes an invalid grammar with the reason and its place, and the request is aborted;
so does any other error here, with its traceback in the log: no request can stop the scheduler.

`$$ANY$$` in place of a schema is any JSON value, as SGLang's default backend has it. Structures of a structural tag may
have null for a schema, which is SGLang's way to say that arguments are free.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import torch
from sglang.srt.constrained import base_grammar_backend
from sglang.srt.constrained.base_grammar_backend import BaseGrammarBackend

from ...automata.compiled import Compiled, compile_grammar
from ...automata.errors import BridleError
from ...automata.matcher import Matcher
from ...automata.vocabulary import Vocabulary
from ...grammar.grammar import Grammar
from ..request_beginnings import make_mask, matcher_behind
from ..request_cache import RequestCache
from ..requested_grammars import GrammarRequest, RequestKind
from .constrained_text import BridleGrammar
from .vocab_masks import allocate_mask, apply_mask, filter_tokens, move_mask

__all__ = ["BridleGrammarBackend", "serving_vocabulary"]

logger = logging.getLogger(__name__)

ANY_JSON = "$$ANY$$"

# Compiled grammars that are shared below SGLang's cache, which keeps whatever it was asked for until it is flushed.
_SHARED = 1024


def serving_vocabulary(tokenizer: Any, vocab_size: int, eos_token_ids: Any = None) -> Vocabulary:
    """The vocabulary of a served model. Its stop tokens are those at which SGLang ends a text.

    vocab_size : columns of the logits. eos_token_ids : an id, some, or None, of the model's configuration.
    Raises VocabularyError for a tokenizer that cannot be read.
    """
    size = max(vocab_size, len(tokenizer) if hasattr(tokenizer, "__len__") else 0)
    given = [eos_token_ids] if isinstance(eos_token_ids, int) else list(eos_token_ids or ())
    given += [getattr(tokenizer, "eos_token_id", None), *(getattr(tokenizer, "additional_stop_token_ids", None) or ())]
    stops = sorted({int(token) for token in given if token is not None and token < size})
    return Vocabulary.from_hf(tokenizer, size=size, stop_token_ids=stops or None)


class BridleGrammarBackend(BaseGrammarBackend):
    """schema_options : options of Grammar.from_json_schema that hold for every schema of this server."""

    def __init__(self, vocabulary: Vocabulary, schema_options: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self._schema_options = dict(schema_options or {})
        self._ready = RequestCache(self._compile, _SHARED)
        self._compile(GrammarRequest.of(RequestKind.JSON_SCHEMA, "{}"))  # loads what a first request would wait for

    # ------------------------------------------------------------------------------------------------ requests

    def dispatch_json(self, key_string: str, *args: Any, **kwargs: Any) -> Any:
        """A JSON schema as text, or `$$ANY$$`."""
        schema = "{}" if key_string == ANY_JSON else key_string
        return self._dispatch("json", RequestKind.JSON_SCHEMA, schema, self._schema_options)

    def dispatch_regex(self, key_string: str, *args: Any, **kwargs: Any) -> Any:
        """A regular expression that the whole text matches."""
        return self._dispatch("regex", RequestKind.REGEX, key_string)

    def dispatch_ebnf(self, key_string: str, *args: Any, **kwargs: Any) -> Any:
        """EBNF; also Lark's grammars and, behind `%agent`, specifications of agents (requested_grammars.py)."""
        return self._dispatch("ebnf", RequestKind.GRAMMAR, key_string)

    def dispatch_structural_tag(self, key_string: str, *args: Any, **kwargs: Any) -> Any:
        """A structural tag as JSON, in the older form (`structures`, `triggers`) or the newer one (`format`)."""
        text = _with_free_schemas(key_string)
        return self._dispatch("structural_tag", RequestKind.STRUCTURAL_TAG, text, self._schema_options)

    def dispatch_fallback(self, key_type: str, key_string: str, *args: Any, **kwargs: Any) -> Any:
        """Other kinds: EBNF of a whole answer, which newer tool parsers ask for, is EBNF; the rest is refused."""
        if key_type == "full_assistant_ebnf":
            return self.dispatch_ebnf(key_string)
        return _invalid(key_type, f"bridle reads json, regex, ebnf and structural_tag, not {key_type}")

    def _init_value_dispatch(self, key: tuple[str, str], *args: Any, **kwargs: Any) -> Any:
        """What the pool runs, which hands a request to one of the methods above."""
        try:
            return super()._init_value_dispatch(key, *args, **kwargs)
        except Exception as error:
            logger.exception("a %s grammar could not be made", key[0])
            return _invalid(key[0], f"an error in the server: {error!r}")

    def _dispatch(self, name: str, kind: RequestKind, text: str, options: Mapping[str, Any] | None = None) -> Any:
        try:
            request, trace = GrammarRequest.of(kind, text, options).parted()
            compiled = self._ready.get(request)
            beginning = matcher_behind(compiled, trace) if trace else None
            if beginning is not None:
                make_mask(beginning)
            return BridleGrammar(compiled, beginning, _stats(name))
        except BridleError as error:
            logger.error("bridle refuses a %s grammar: %s", name, error)
            return _invalid(name, str(error))

    def compile_framed_grammar(
        self, grammar: BridleGrammar, frame: Callable[[Any], Any], *args: Any, **kwargs: Any
    ) -> BridleGrammar | None:
        """A grammar within the frame that a reasoning format has around answers; None where that cannot be.

        frame : makes a structural tag of what is within, here the grammar itself. SGLang constrains the answer alone
        where this returns None, as for budgets of reasoning tokens: what counts tokens is no property of a text.
        Special tokens of the frame are none of the grammar's text in any case, so there is nothing to reserve.
        """
        if grammar.whole_grammar is None:
            return None
        try:
            compiled = compile_grammar(Grammar.from_structural_tag(frame(grammar.whole_grammar)), self.vocabulary)
            make_mask(Matcher(compiled))
        except BridleError as error:
            logger.warning("bridle cannot frame an answer, which is constrained without its frame: %s", error)
            return None
        return BridleGrammar(compiled, stats=_stats("structural_tag"))

    def _compile(self, request: GrammarRequest) -> Compiled:
        """The grammar, the mask of its beginning made."""
        compiled = compile_grammar(request.grammar(), self.vocabulary)
        make_mask(Matcher(compiled))
        return compiled

    def reset(self) -> None:
        """Forgets all grammars; texts in progress keep theirs."""
        super().reset()
        self._ready = RequestCache(self._compile, _SHARED)

    # ------------------------------------------------------------------------------------------------ masks
    # For texts that have no grammar yet, while a model reasons: SGLang's wrapper asks the backend for masks then.

    def allocate_vocab_mask(
        self, vocab_size: int, batch_size: int, device: Any = None, *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """As vocab_masks.allocate_mask, as wide as the vocabulary."""
        return allocate_mask(self.vocabulary.size, batch_size)

    @staticmethod
    def move_vocab_mask(vocab_mask: torch.Tensor, device: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        """As vocab_masks.move_mask."""
        return move_mask(vocab_mask, device)

    @staticmethod
    def apply_vocab_mask(logits: torch.Tensor, vocab_mask: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        """As vocab_masks.apply_mask."""
        apply_mask(logits, vocab_mask)

    @property
    def is_support_token_filter(self) -> bool:
        """Whether `set_token_filter` does something, as strict reasoning needs it."""
        return True

    @staticmethod
    def set_token_filter(
        vocab_mask: torch.Tensor,
        token_ids: list[int],
        batch_idx: int,
        is_allowed: bool = True,
        reset_vocab_mask: bool = True,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """As vocab_masks.filter_tokens."""
        filter_tokens(vocab_mask, token_ids, batch_idx, is_allowed, reset_vocab_mask)


def _stats(name: str, **members: Any) -> Any:
    """SGLang's record of a grammar; None where it has none."""
    made = getattr(base_grammar_backend, "GrammarStats", None)
    return None if made is None else made(dispatch_type=name, **members)


def _invalid(name: str, message: str) -> Any:
    """What SGLang takes for a grammar that failed: it aborts the request, with the message where it can carry one."""
    made = getattr(base_grammar_backend, "InvalidGrammarObject", None)
    if made is None:
        return getattr(base_grammar_backend, "INVALID_GRAMMAR_OBJ", None)
    invalid = made(message)
    invalid.grammar_stats = _stats(name, is_grammar_aborted=True)
    return invalid


def _with_free_schemas(text: str) -> str:
    """A structural tag whose schemas are all there. What is no JSON stays as it is: reading it tells why."""
    if "null" not in text:
        return text
    try:
        tag = json.loads(text)
        _free_schemas(tag)
    except (ValueError, RecursionError):
        return text
    return json.dumps(tag, ensure_ascii=False)


def _free_schemas(part: Any) -> None:
    """Puts the schema that admits everything where a part of a tag has null."""
    if isinstance(part, list):
        for member in part:
            _free_schemas(member)
    elif isinstance(part, dict):
        for name, member in part.items():
            if name not in ("schema", "json_schema"):
                _free_schemas(member)
            elif member is None:
                part[name] = {}
