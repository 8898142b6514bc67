"""Where vLLM takes requests in: what is no grammar is refused there, with the reason, and nothing else suffers.

Takes the place of SamplingParams._validate_structured_outputs in an engine whose backend is bridle; the checks that
vLLM makes before it asks a backend are made here again, or are the grammar's own.
"""

from __future__ import annotations

from typing import Any

from vllm.exceptions import VLLMValidationError
from vllm.sampling_params import StructuredOutputsParams

from ...automata.compiled import Compiled, compile_grammar
from ...automata.errors import BridleError
from ...automata.vocabulary import Vocabulary
from ...grammar.validation import byte_vocabulary
from ..request_beginnings import matcher_behind
from ..request_cache import RequestCache
from ..requested_grammars import GrammarRequest
from .plugin import BACKEND
from .request_reading import BridleArguments, agent_text, arguments_of, request_of
from .vocabularies import vocabulary_of

__all__ = ["admit", "admit_elsewhere", "names_special_tokens"]

_KEPT, _KEPT_CHARACTERS = 512, 1 << 26  # requests that were found good or bad, and their texts
_KEPT_AGENTS = 64


def admit(params: Any, model_config: Any, config: Any, tokenizer: Any) -> None:
    """Raises VLLMValidationError for SamplingParams whose grammar is none. config : StructuredOutputsConfig."""
    try:
        _admit(params, model_config, config, tokenizer)
    except BridleError as error:
        raise VLLMValidationError(str(error)) from error


def admit_elsewhere(params: Any, model_config: Any) -> None:
    """Raises VLLMValidationError for what `extra_args["bridle"]` asks of an engine with another backend, if nothing
    there would read it: the text would be free."""
    try:
        arguments = arguments_of(params.extra_args)
    except BridleError as error:
        raise VLLMValidationError(str(error)) from error
    _check_processor(arguments, model_config)
    if arguments.logits is None:
        raise VLLMValidationError(
            f"extra_args['bridle'] is for an engine with --structured-outputs-config.backend {BACKEND}"
        )


def _admit(params: Any, model_config: Any, config: Any, tokenizer: Any) -> None:
    arguments = arguments_of(params.extra_args)
    _check_processor(arguments, model_config)
    _add_agent(params, arguments)
    if params.structured_outputs is None:
        return
    _check_engine(params.structured_outputs, model_config, tokenizer)
    request = request_of(params.structured_outputs, arguments, is_compact=config.disable_any_whitespace)
    if names_special_tokens(request):
        _check_names(request, tokenizer, model_config.get_vocab_size())
    params.structured_outputs._backend = BACKEND


def names_special_tokens(request: GrammarRequest) -> bool:
    """Whether the grammar of a request names special tokens, which a vocabulary must have.

    Raises BridleError for a grammar that is none, and for a trace that its agent cannot have.
    """
    whole, trace = request.parted()
    names = _known.get(whole)
    if trace:
        matcher_behind(_agents.get(whole), trace)
    return names


def _check_processor(arguments: BridleArguments, model_config: Any) -> None:
    """Raises VLLMValidationError for a grammar that nobody would read."""
    if arguments.logits is None:
        return
    named = [getattr(processor, "__name__", processor) for processor in model_config.logits_processors or ()]
    if not any(name.endswith("BridleLogitsProcessor") for name in named):
        raise VLLMValidationError(
            "extra_args['bridle']['logits'] is for an engine with --logits-processors "
            "bridle.integrations.vllm.logits_processor:BridleLogitsProcessor; here, use structured_outputs"
        )


def _add_agent(params: Any, arguments: BridleArguments) -> None:
    """Makes the agent that a request asks for its grammar."""
    text = agent_text(arguments)
    if text is None:
        return
    outputs = params.structured_outputs
    if outputs is None:
        params.structured_outputs = StructuredOutputsParams(grammar=text)
    elif outputs.grammar != text:  # equal where the same parameters are used for another request
        raise VLLMValidationError("a request has structured_outputs or an agent in extra_args['bridle'], not both")


def _check_engine(outputs: Any, model_config: Any, tokenizer: Any) -> None:
    if model_config.is_diffusion:
        raise VLLMValidationError("bridle needs text from left to right; diffusion models write otherwise")
    if tokenizer is None:
        raise VLLMValidationError("structured outputs need a tokenizer, so they do not go with skip_tokenizer_init")
    if outputs._backend not in (None, BACKEND):
        raise VLLMValidationError(
            f"the request asks for the backend {outputs._backend!r}, and this engine was started with {BACKEND!r}"
        )


def _read(request: GrammarRequest) -> bool:
    """As names_special_tokens, of the grammar alone."""
    grammar = request.grammar()
    grammar.root  # noqa: B018  emptiness, and what else is only seen when the first state is made
    return bool(grammar.special_tokens)


def _reading(request: GrammarRequest) -> Compiled:
    """The grammar of an agent, for reading the traces of all of its turns."""
    return compile_grammar(request.grammar(), byte_vocabulary())


def _check_names(request: GrammarRequest, tokenizer: Any, size: int) -> None:
    """Raises GrammarError, with the place, for special tokens that the vocabulary has not."""
    compile_grammar(request.grammar(), _vocabulary(tokenizer, size))


def _vocabulary(tokenizer: Any, size: int) -> Vocabulary:
    """The vocabulary of the process's tokenizer, for looking up names alone."""
    global _named
    if _named is None or _named[0] is not tokenizer:
        _named = tokenizer, vocabulary_of(tokenizer, size, [tokenizer.eos_token_id or 0])
    return _named[1]


_known: RequestCache[GrammarRequest, bool] = RequestCache(_read, _KEPT, lambda r: len(r.text), _KEPT_CHARACTERS)
_agents: RequestCache[GrammarRequest, Compiled] = RequestCache(
    _reading, _KEPT_AGENTS, lambda r: len(r.text), _KEPT_CHARACTERS
)
_named: tuple[Any, Vocabulary] | None = None
