"""Stand-ins for what bridle's backend meets in SGLang: its base classes, and the loops that drive a grammar.

Their names, signatures and behaviour are those of the published sources that bridle/integrations/sglang names; the code
is this repository's own. `OLD` is late 2025, `NEW` is 2026, in which requests share futures. `INSTALLED` is SGLang's
own classes, where its distribution and enough of its dependencies are installed: no server and no GPU, but the contract
itself.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch

OLD, NEW, INSTALLED = "2025", "2026", "installed"
GENERATIONS = [OLD, NEW, *([INSTALLED] if importlib.util.find_spec("sglang") else [])]
BASE = "sglang.srt.constrained.base_grammar_backend"
OWN = ("backend", "constrained_text", "registration")
_ABSTRACT = (
    "accept_token", "rollback", "allocate_vocab_mask", "fill_vocab_mask", "try_jump_forward", "jump_forward_str_state",
    "jump_and_retokenize",
)  # fmt: skip
_ABSTRACT_STATIC = ("move_vocab_mask", "apply_vocab_mask")


def _abstract(name: str) -> Callable[..., Any]:
    def method(*args, **kwargs):
        raise NotImplementedError

    method.__name__ = name
    return method


def grammar_object(generation: str) -> type:
    """BaseGrammarObject."""

    class BaseGrammarObject:
        def __init__(self):
            self._finished = False
            self.grammar_stats = None
            self.current_token = None

        def is_terminated(self):
            return False

        def copy(self):
            return self

        @property
        def finished(self):
            return self._finished

        @finished.setter
        def finished(self, finished):
            self._finished = finished

    for name in _ABSTRACT:
        setattr(BaseGrammarObject, name, _abstract(name))
    for name in (*_ABSTRACT_STATIC, *(["reset_vocab_mask"] if generation == NEW else [])):
        setattr(BaseGrammarObject, name, staticmethod(_abstract(name)))
    if generation == NEW:
        BaseGrammarObject.maybe_init_reasoning = lambda self, reasoning: None
        BaseGrammarObject.cache_memory_bytes = lambda self: 0

        def fill_vocab_mask_batched(entries, vocab_mask):
            for entry in entries:
                entry.grammar.fill_vocab_mask(vocab_mask, entry.row)

        BaseGrammarObject.fill_vocab_mask_batched = staticmethod(fill_vocab_mask_batched)
    return BaseGrammarObject


class GrammarRow(NamedTuple):
    row: int
    grammar: Any


@dataclass
class GrammarStats:
    compilation_time: float | None = None
    schema_count: int | None = None
    ebnf_size: int | None = None
    is_cache_hit: bool = False
    is_grammar_aborted: bool = False
    tree_traversal_time: list[float] = field(default_factory=list)
    dispatch_type: str | None = None
    num_timeout: int = 0


def grammar_backend(generation: str) -> type:
    """BaseGrammarBackend."""

    class BaseGrammarBackend:
        _enable_strict_thinking = False

        def __init__(self):
            self.executor = ThreadPoolExecutor()
            self.cache = {}
            self._inflight = {}
            self._cache_lock = threading.Lock()

        @property
        def enable_strict_thinking(self):
            return self._enable_strict_thinking

        @property
        def is_support_token_filter(self):
            return False

        def dispatch_fallback(self, key_type, key_string):
            raise ValueError(f"Invalid key_type: {key_type}={key_string}")

        def dispatch_json(self, key_string):
            return None

        dispatch_regex = dispatch_ebnf = dispatch_structural_tag = dispatch_json

        def _init_value_dispatch(self, key, require_reasoning=False):
            kind, text = key
            known = ("json", "regex", "ebnf", "structural_tag")
            if kind not in known:
                return self.dispatch_fallback(kind, text)
            grammar = getattr(self, f"dispatch_{kind}")(text)
            if grammar is not None and grammar.grammar_stats is not None:
                grammar.grammar_stats.compilation_time = 0.001
            return grammar

        def get_cached_or_future_value(self, key, require_reasoning=False):
            if generation == OLD:
                value = self.cache.get(key)
                if value:
                    return value.copy(), True
                return self.executor.submit(self._init_value_dispatch, key, require_reasoning), False
            return self._shared(key, require_reasoning)

        def _shared(self, key, require_reasoning):
            with self._cache_lock:
                if key in self.cache:
                    return self._for_request(self.cache[key], require_reasoning), True
                shared = self._inflight.get(key)
                if shared is None:
                    shared = self._inflight[key] = self.executor.submit(self._init_value_dispatch, key, False)
            own = Future()

            def finish(done):
                with self._cache_lock:
                    self._inflight.pop(key, None)
                    self.cache.setdefault(key, done.result())
                own.set_result(self._for_request(done.result(), require_reasoning))

            shared.add_done_callback(finish)
            return own, False

        @staticmethod
        def _for_request(prototype, require_reasoning):
            copied = prototype.copy()
            copied.maybe_init_reasoning(require_reasoning)
            return copied

        def set_cache(self, key, value):
            self.cache[key] = value

        def reset(self):
            self.cache.clear()

    return BaseGrammarBackend


def base_module(generation: str) -> ModuleType:
    """sglang.srt.constrained.base_grammar_backend."""
    base = ModuleType(BASE)
    base.BaseGrammarObject = grammar_object(generation)
    base.BaseGrammarBackend = grammar_backend(generation)
    base.GrammarStats, base.GrammarRow = GrammarStats, GrammarRow
    if generation == OLD:
        base.INVALID_GRAMMAR_OBJ = base.BaseGrammarObject()
    else:

        class InvalidGrammarObject(base.BaseGrammarObject):
            def __init__(self, error_message="Unknown grammar error"):
                super().__init__()
                self.error_message = error_message

        base.InvalidGrammarObject = InvalidGrammarObject
    base.GRAMMAR_BACKEND_REGISTRY = {}
    base.register_grammar_backend = base.GRAMMAR_BACKEND_REGISTRY.__setitem__
    return base


def reasoner_module(base: ModuleType, generation: str) -> ModuleType:
    """sglang.srt.constrained.reasoner_grammar_backend, of which the constructors matter here."""
    module = ModuleType("sglang.srt.constrained.reasoner_grammar_backend")

    class Old(base.BaseGrammarBackend):
        def __init__(self, grammar_backend, think_end_id):
            super().__init__()
            self.grammar_backend, self.think_end_id = grammar_backend, think_end_id

    class New(base.BaseGrammarBackend):
        def __init__(
            self, grammar_backend, reasoning_parser, tokenizer, enable_strict_thinking=False, model_eos_token_ids=None
        ):
            super().__init__()
            self.grammar_backend, self.reasoning_parser = grammar_backend, reasoning_parser
            self.enable_filter = enable_strict_thinking and grammar_backend.is_support_token_filter
            self.model_eos_token_ids = model_eos_token_ids
            self.callbacks = (
                grammar_backend.allocate_vocab_mask, grammar_backend.move_vocab_mask, grammar_backend.apply_vocab_mask,
                grammar_backend.set_token_filter,
            )  # fmt: skip

    module.ReasonerGrammarBackend = Old if generation == OLD else New
    return module


def parser_module() -> ModuleType:
    """sglang.srt.parser.reasoning_parser."""
    module = ModuleType("sglang.srt.parser.reasoning_parser")

    class ReasoningParser:
        def __init__(self, model_type, stream_reasoning=True, tokenizer=None):
            self.model_type, self.stream_reasoning = model_type, stream_reasoning

    module.ReasoningParser = ReasoningParser
    return module


def choices_module(name: str) -> ModuleType:
    """sglang.srt.server_args, or arg_groups.choices, of which the list of backends matters here."""
    module = ModuleType(name)
    module.GRAMMAR_BACKEND_CHOICES = ["xgrammar", "outlines", "llguidance", "none"]
    module.add_grammar_backend_choices = module.GRAMMAR_BACKEND_CHOICES.extend
    return module


@contextmanager
def installed(*modules: ModuleType) -> Iterator[None]:
    """An SGLang of these modules and no others; bridle's own that are made of them are imported anew, and forgotten."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in sys.modules if n.split(".")[0] == "sglang"]:
            patch.delitem(sys.modules, name)
        if not modules:
            patch.setitem(sys.modules, "sglang", None)
        for module in modules:
            parts = module.__name__.split(".")
            for i in range(1, len(parts)):
                package = ".".join(parts[:i])
                if package not in sys.modules:
                    made = ModuleType(package)
                    made.__path__ = []
                    patch.setitem(sys.modules, package, made)
            patch.setitem(sys.modules, module.__name__, module)
            patch.setattr(sys.modules[".".join(parts[:-1])], parts[-1], module, raising=False)
        with _own_modules_anew():
            yield


@contextmanager
def _own_modules_anew() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in OWN:
            patch.delitem(sys.modules, f"bridle.integrations.sglang.{name}", raising=False)
        yield
        for name in OWN:
            sys.modules.pop(f"bridle.integrations.sglang.{name}", None)


@contextmanager
def sglang(generation: str) -> Iterator[SimpleNamespace]:
    """(base: the module of the base classes, plus bridle's own modules that were imported beside it)."""
    if generation == INSTALLED:
        with _own_modules_anew():
            yield _found(generation, importlib.import_module(BASE), importlib.import_module("sglang.srt.server_args"))
        return
    base = base_module(generation)
    server_args = choices_module("sglang.srt.server_args")
    with installed(base, reasoner_module(base, generation), parser_module(), server_args):
        yield _found(generation, base, server_args)


def _found(generation: str, base: ModuleType, server_args: ModuleType) -> SimpleNamespace:
    own = {name: importlib.import_module(f"bridle.integrations.sglang.{name}") for name in OWN}
    return SimpleNamespace(generation=generation, base=base, server_args=server_args, **own)


# -------------------------------------------------------------------------------------------- what drives a grammar


def step_mask(grammars: list[Any], vocab_size: int, batched: bool) -> torch.Tensor:
    """SamplingBatchInfo.update_regex_vocab_mask: the mask of a batch, in which None is a text without a grammar."""
    first = next(grammar for grammar in grammars if grammar)
    mask = first.allocate_vocab_mask(vocab_size=vocab_size, batch_size=len(grammars), device="cpu")
    rows = [
        GrammarRow(row, grammar)
        for row, grammar in enumerate(grammars)
        if grammar and not grammar.finished and not grammar.is_terminated()
    ]
    if batched:
        first.fill_vocab_mask_batched(rows, mask)
    else:
        for entry in rows:
            entry.grammar.fill_vocab_mask(mask, entry.row)
    return first.move_vocab_mask(mask, "cpu")


def verify_tree(
    children: list[int], siblings: list[int], drafts: list[int], grammar: Any, mask: torch.Tensor, vocab_size: int
) -> None:
    """traverse_tree of spec_utils.py: the masks of all drafts that the grammar accepts, depth first.

    children, siblings : for each draft its first child and its next sibling, -1 for none. Draft 0 was accepted before.
    """

    def visit(at: int, parent: int) -> None:
        token = drafts[at]
        if at == 0:
            is_accepted = True
        else:
            is_accepted = token < vocab_size and bool(mask[parent, token // 32] & (1 << (token % 32)))
        if is_accepted:
            if at:
                grammar.accept_token(token)
            if not grammar.is_terminated():
                grammar.fill_vocab_mask(mask, at)
                if children[at] != -1:
                    visit(children[at], at)
            if at:
                grammar.rollback(1)
        if siblings[at] != -1:
            visit(siblings[at], parent)

    visit(0, -1)


def accept_run(grammar: Any, tokens: list[int]) -> list[int]:
    """_accept_grammar_tokens: the verified tokens of a step, up to the one that ends the text."""
    kept = []
    for token in tokens:
        grammar.accept_token(token)
        kept.append(token)
        if grammar.is_terminated():
            break
    return kept


def jump_forward(grammar: Any, tokenizer: Any, prompt: str, output: list[int]) -> list[int] | None:
    """check_for_jump_forward and jump_forward_and_retokenize: the output with what is forced, cut into tokens anew.

    None where there is nothing to jump over, or where prompt and output melt into one token.
    """
    helper = grammar.try_jump_forward(tokenizer)
    if not helper:
        return None
    suffix, _ = helper
    text = tokenizer.decode(output + suffix)
    if text.endswith("\ufffd"):
        return None
    jump, state = grammar.jump_forward_str_state(helper)
    prompt_ids = tokenizer.encode(prompt)
    ids = tokenizer.encode(prompt + text + jump)
    if ids[: len(prompt_ids)] != prompt_ids:
        return None
    new = ids[len(prompt_ids) :]
    grammar.jump_and_retokenize(output, new, state)
    return new
