"""Making the backend known to SGLang, and making it when a server asks for it by name.

SGLang looks a name up among the registered backends before its own. It does not wrap what their factories return, so a
server with a reasoning parser would have its reasoning constrained; the factory wraps the backend as SGLang wraps its
own.

`register` runs in every process of every SGLang server beside which bridle is installed, also of those that do not use
it: it loads neither torch nor bridle's engine of itself, and whatever happens in it, the server starts.
"""

from __future__ import annotations

import importlib
import inspect
import logging
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["NAME", "create_backend", "register"]

logger = logging.getLogger(__name__)

NAME = "bridle"

_BASE = "sglang.srt.constrained.base_grammar_backend"
_EXPECTED = {
    "BaseGrammarBackend": (
        "dispatch_json", "dispatch_regex", "dispatch_ebnf", "dispatch_structural_tag", "get_cached_or_future_value",
        "reset", "set_cache",
    ),
    "BaseGrammarObject": (
        "accept_token", "rollback", "is_terminated", "allocate_vocab_mask", "fill_vocab_mask", "move_vocab_mask",
        "apply_vocab_mask", "copy",
    ),
}  # fmt: skip


def register() -> None:
    """Makes the backend known in this process. Never raises; may be called again."""
    try:
        _register()
    except Exception:
        logger.warning("bridle could not be registered with SGLang %s", _version(), exc_info=True)


def _register() -> None:
    base = importlib.import_module(_BASE)
    add = getattr(base, "register_grammar_backend", None)
    if not callable(add):
        logger.warning(
            "SGLang %s has no register_grammar_backend, so there is no grammar backend %r: a newer SGLang has it",
            _version(), NAME,
        )  # fmt: skip
        return
    strange = [
        f"{class_name}.{name}"
        for class_name, names in _EXPECTED.items()
        for name in names
        if not callable(getattr(getattr(base, class_name, None), name, None))
    ]
    if strange:
        logger.warning(
            "SGLang %s is not as bridle's backend expects it, which may not work: it has no %s",
            _version(), ", ".join(strange),
        )  # fmt: skip
    add(NAME, create_backend)
    _offer()


def _offer() -> None:
    """Adds the name to what `--grammar-backend` takes."""
    offered = False
    for module_name in ("sglang.srt.server_args", "sglang.srt.arg_groups.choices"):
        try:
            module = importlib.import_module(module_name)
        except ImportError:
            continue
        choices = getattr(module, "GRAMMAR_BACKEND_CHOICES", ())
        if NAME not in choices and hasattr(module, "add_grammar_backend_choices"):
            module.add_grammar_backend_choices([NAME])
        offered = offered or NAME in choices
    if not offered:
        logger.warning("SGLang %s may refuse --grammar-backend %s: it has no list to add it to", _version(), NAME)


def create_backend(
    server_args: Any = None, tokenizer: Any = None, vocab_size: int = 0, eos_token_ids: Any = None,
    *args: Any, **kwargs: Any,
) -> Any:  # fmt: skip
    """A backend for a server; wrapped, if it has a reasoning parser.

    Called once, when a scheduler starts. Raises VocabularyError for a tokenizer that cannot be read: who asked for this
    backend would not want to go without.
    """
    from .backend import BridleGrammarBackend, serving_vocabulary
    from .constrained_text import BridleGrammar

    settings = _Settings(server_args, kwargs)
    left = _left_abstract(BridleGrammar) + _left_abstract(BridleGrammarBackend)
    if left:
        logger.warning("SGLang %s has methods that bridle's backend does not know: %s", _version(), ", ".join(left))
    vocabulary = serving_vocabulary(tokenizer, vocab_size, eos_token_ids)
    return _with_reasoning(BridleGrammarBackend(vocabulary, settings.schema_options()), tokenizer, settings)


class _Settings:
    """A server's settings: the call's, else those of newer versions' context, else its arguments'."""

    def __init__(self, server_args: Any, given: dict[str, Any]) -> None:
        self._server_args, self._given = server_args, given

    def get(self, name: str) -> Any:
        """None for one that this version does not have."""
        if name in self._given:
            return self._given[name]
        try:
            return getattr(importlib.import_module("sglang.srt.runtime_context").get_serving(), name)
        except Exception:  # versions that have no such context, or another one
            return getattr(self._server_args, name, None)

    def schema_options(self) -> dict[str, Any]:
        """What the server says of white space, as options of Grammar.from_json_schema."""
        if self.get("constrained_json_whitespace_pattern"):
            logger.warning(
                "bridle reads no pattern for white space, but --constrained-json-disable-any-whitespace and "
                "--constrained-json-max-whitespace-cnt"
            )
        if self.get("constrained_json_disable_any_whitespace"):
            return {"separators": (", ", ": ")}
        most = self.get("constrained_json_max_whitespace_cnt")
        return {} if most is None else {"max_whitespace": int(most)}


def _with_reasoning(backend: Any, tokenizer: Any, settings: _Settings) -> Any:
    """The backend for texts that begin with reasoning, which no grammar constrains."""
    parser = settings.get("reasoning_parser")
    if not parser:
        return backend
    wrapper = importlib.import_module("sglang.srt.constrained.reasoner_grammar_backend").ReasonerGrammarBackend
    takes = inspect.signature(wrapper).parameters
    if "reasoning_parser" not in takes:  # until 2025: by the id of the token that ends reasoning
        if hasattr(tokenizer, "think_end_id"):
            return wrapper(backend, tokenizer.think_end_id)
        logger.warning("grammars hold from the first token on, reasoning included: the tokenizer names no end of it")
        return backend
    made = importlib.import_module("sglang.srt.parser.reasoning_parser").ReasoningParser
    offered = {
        "enable_strict_thinking": bool(settings.get("enable_strict_thinking")),
        "model_eos_token_ids": list(backend.vocabulary.stop_token_ids),
    }
    reading = _accepted(made, {"model_type": parser, "stream_reasoning": False, "tokenizer": tokenizer})
    try:
        return wrapper(backend, made(**reading), tokenizer, **_accepted(wrapper, offered))
    except ValueError as error:  # SGLang's own backends are not wrapped either where reasoning has no end in tokens
        if offered["enable_strict_thinking"]:
            raise
        logger.warning("grammars hold from the first token on, reasoning included: %s", error)
        return backend


def _accepted(function: Any, offered: dict[str, Any]) -> dict[str, Any]:
    """Those arguments that a function takes."""
    takes = inspect.signature(function).parameters
    return {name: value for name, value in offered.items() if name in takes}


def _left_abstract(cls: type) -> list[str]:
    """The methods of a class that do nothing but raise NotImplementedError, as those do that a subclass is to have."""
    found = []
    for name in dir(cls):
        member = inspect.getattr_static(cls, name)
        code = getattr(getattr(member, "__func__", member), "__code__", None)
        if code is not None and "NotImplementedError" in code.co_names:
            found.append(f"{cls.__name__}.{name}")
    return found


def _version() -> str:
    try:
        return version("sglang")
    except PackageNotFoundError:
        return "(of an unknown version)"
