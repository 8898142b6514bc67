"""What vLLM calls when it starts, in each of its processes: makes the backend known to it.

vLLM has no register of backends, so three of its functions are wrapped and a list of names is made longer:

    SamplingParams._validate_structured_outputs     requests are taken in by admission.py
    StructuredOutputManager.__init__                an engine that asks for bridle gets a BridleBackend as it starts,
                                                    so that no request waits for kernels and the vocabulary
    StructuredOutputManager._create_grammar         a grammar is told whose it is, for its budget
    StructuredOutputsConfig.backend                 admits "bridle", for the command line

Engines with another backend go the ways that they went; there, a request is refused that asks for what only bridle
could give it. INVARIANT: where vLLM is a version that this was not tried with, or not as it is expected, it is left as
it was, with a warning; nothing is raised.
INVARIANT: registering does not import numba, which vLLM's workers on CPUs cannot start beside (they look for kernels in
all that was imported, and stumble over an object of llvmlite's).
"""

from __future__ import annotations

import functools
import inspect
import logging
import re
from collections.abc import Callable
from typing import Any, Literal, get_args

__all__ = ["BACKEND", "register"]

BACKEND = "bridle"

logger = logging.getLogger("vllm.plugins.bridle")

_TRIED = ("0.32",)  # versions of vLLM, but for their last number
_EXPECTED = {  # the parameters of what is wrapped
    "_validate_structured_outputs": ["self", "model_config", "structured_outputs_config", "tokenizer"],
    "__init__": ["self", "vllm_config"],
    "_create_grammar": ["self", "request"],
}


def register() -> None:
    """Makes vLLM know the backend `bridle`. Once or many times, the same; the entry point of the plugin."""
    try:
        reason = _why_not() or _register()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        logger.debug("registering", exc_info=True)
    if reason is not None:
        logger.warning("the structured-output backend 'bridle' is not available: %s. vLLM is left as it was", reason)


def _why_not() -> str | None:
    import vllm

    version = str(getattr(vllm, "__version__", "unknown"))
    if not any(re.match(rf"{re.escape(tried)}(\.|$)", version) for tried in _TRIED):
        return f"it was tried with vLLM {', '.join(_TRIED)}, and this is vLLM {version}"
    return None


def _register() -> str | None:
    """Why it could not be done, with nothing changed; None if it was."""
    from vllm.config import structured_outputs as config_module
    from vllm.sampling_params import SamplingParams
    from vllm.v1.structured_output import StructuredOutputManager

    if getattr(StructuredOutputManager, "_knows_bridle", False):
        return None
    config = config_module.StructuredOutputsConfig
    wrapped: tuple[Any, ...] = (
        SamplingParams._validate_structured_outputs,
        StructuredOutputManager.__init__,
        StructuredOutputManager._create_grammar,
    )
    for function in wrapped:
        found = [*inspect.signature(function).parameters]
        if found != _EXPECTED[function.__name__]:
            return f"{function.__qualname__} has the parameters {', '.join(found)}"
    SamplingParams._validate_structured_outputs = _validating(SamplingParams._validate_structured_outputs)
    StructuredOutputManager.__init__ = _starting(StructuredOutputManager.__init__)
    StructuredOutputManager._create_grammar = _creating(StructuredOutputManager._create_grammar)
    StructuredOutputManager._knows_bridle = True
    _admit_name(config)
    return None


def _validating(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def _validate_structured_outputs(
        self: Any, model_config: Any, structured_outputs_config: Any, tokenizer: Any
    ) -> None:
        is_ours = structured_outputs_config is not None and structured_outputs_config.backend == BACKEND
        if not is_ours and "bridle" not in (self.extra_args or ()):
            return original(self, model_config, structured_outputs_config, tokenizer)
        from .admission import admit, admit_elsewhere

        if not is_ours:
            admit_elsewhere(self, model_config)
            return original(self, model_config, structured_outputs_config, tokenizer)
        return admit(self, model_config, structured_outputs_config, tokenizer)

    return _validate_structured_outputs


def _starting(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def __init__(self: Any, vllm_config: Any) -> None:
        original(self, vllm_config)
        if vllm_config.structured_outputs_config.backend != BACKEND or vllm_config.model_config.skip_tokenizer_init:
            return
        from .backend import BridleBackend

        size = vllm_config.model_config.get_vocab_size()
        self.backend = BridleBackend(vllm_config, tokenizer=self.tokenizer, vocab_size=size)

    return __init__


def _creating(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def _create_grammar(self: Any, request: Any) -> Any:
        compile_request = getattr(self.backend, "compile_request", None)
        if compile_request is None:
            return original(self, request)
        try:
            return compile_request(request)
        except Exception as error:
            logger.error("request %s has no grammar: %s", request.request_id, error)
            raise

    return _create_grammar


def _admit_name(config: Any) -> None:
    """Adds the backend to those that the configuration admits; engine and command line then take it by name.

    A failure leaves the other ways: `config.backend = "bridle"` on a StructuredOutputsConfig is not checked.
    """
    try:
        import pydantic.dataclasses
        from vllm.engine import arg_utils

        admitted: Any = Literal[(*get_args(config.__annotations__["backend"]), BACKEND)]
        config.__annotations__["backend"] = config.__dataclass_fields__["backend"].type = admitted
        config.__pydantic_fields__["backend"].annotation = admitted
        pydantic.dataclasses.rebuild_dataclass(config, force=True)
        arg_utils._compute_kwargs.cache_clear()
    except Exception as error:
        logger.warning("--structured-outputs-config.backend does not know %r: %s", BACKEND, error)
