"""What vLLM's parameters of a request say, as bridle's: the grammar, and options that vLLM has no words for.

    SamplingParams(structured_outputs=StructuredOutputsParams(json=schema), extra_args={"bridle": {"budget": False}})
    SamplingParams(extra_args={"bridle": {"agent": "react", "tools": {…}, "trace": "Question: …"}})

Over HTTP they are `vllm_xargs`, whose values are plain: {"bridle": "{\\"budget\\": false}"}, the same as JSON text.

    budget      whether the text is completed within the request's max_tokens, every mask seeing to it; left out: masks
                do when few tokens are left, unless that takes long
    options     those of Grammar.from_json_schema, such as {"property_order": "any"}
    agent, tools, trace     an agent (requested_grammars.py), in place of structured_outputs
    logits      the members of structured_outputs, for the logits processor (logits_processor.py), in their place
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...automata.errors import GrammarError, UnsupportedError
from ..requested_grammars import GrammarRequest, RequestKind, json_of

__all__ = ["BridleArguments", "agent_text", "arguments_of", "logits_request_of", "request_of"]

_AGENT = ("agent", "tools", "trace")
# Members of StructuredOutputsParams, and what they are.
_KINDS = {
    "json": RequestKind.JSON_SCHEMA,
    "json_object": RequestKind.JSON_OBJECT,
    "regex": RequestKind.REGEX,
    "choice": RequestKind.CHOICE,
    "grammar": RequestKind.GRAMMAR,
    "structural_tag": RequestKind.STRUCTURAL_TAG,
}
_MEMBERS = (*_KINDS, "disable_any_whitespace", "disable_additional_properties", "whitespace_pattern")


@dataclass(frozen=True, slots=True)
class BridleArguments:
    """What `extra_args["bridle"]` says. agent : its members about an agent, None without one. logits : a grammar for
    the logits processor, None without one."""

    budget: bool | None = None
    options: Mapping[str, Any] | None = None
    agent: Mapping[str, Any] | None = None
    logits: Mapping[str, Any] | None = None


def arguments_of(extra_args: Mapping[str, Any] | None) -> BridleArguments:
    """Raises GrammarError for what is not understood."""
    given = (extra_args or {}).get("bridle")
    if given is None:
        return BridleArguments()
    members = json_of(given, "extra_args['bridle']") if isinstance(given, str) else given
    if not isinstance(members, Mapping):
        raise GrammarError(f"extra_args['bridle'] is a dict, or JSON text of one, not {members!r:.80}")
    unknown = sorted(map(str, members.keys() - {"budget", "options", "logits", *_AGENT}))
    if unknown:
        known = "budget, options, logits, agent, tools and trace"
        raise GrammarError(f"extra_args['bridle'] has no {unknown[0]!r}, but {known}")
    budget, options, logits = members.get("budget"), members.get("options"), members.get("logits")
    if budget is not None and not isinstance(budget, bool):
        raise GrammarError(f"extra_args['bridle']['budget'] is true, false or left out, not {budget!r:.80}")
    if options is not None and not isinstance(options, Mapping):
        raise GrammarError(f"extra_args['bridle']['options'] is a dict, not {options!r:.80}")
    if logits is not None and not isinstance(logits, Mapping):
        raise GrammarError(f"extra_args['bridle']['logits'] is a dict such as {{'regex': …}}, not {logits!r:.80}")
    agent = {name: members[name] for name in _AGENT if name in members}
    if agent and "agent" not in agent:
        raise GrammarError(f"extra_args['bridle'] has {' and '.join(agent)} but no agent")
    return BridleArguments(budget, options, agent or None, logits)


def agent_text(arguments: BridleArguments) -> str | None:
    """The grammar that asks for the agent of a request, None without one. Raises GrammarError for no JSON."""
    if arguments.agent is None:
        return None
    try:
        return f"%agent {json.dumps(arguments.agent)}"
    except (TypeError, ValueError, RecursionError) as error:
        raise GrammarError(f"the agent in extra_args['bridle'] is not JSON: {error}") from None


def request_of(params: Any, arguments: BridleArguments, *, is_compact: bool = False) -> GrammarRequest:
    """What the StructuredOutputsParams of a request ask for.

    is_compact : the engine is set to write JSON without white space. Raises GrammarError, and UnsupportedError for
    what bridle has another way to say.
    """
    if params.whitespace_pattern is not None:
        reason = "pass extra_args={'bridle': {'options': {'whitespace': 'compact'}}}, or max_whitespace"
        raise UnsupportedError("structured_outputs.whitespace_pattern", reason)
    if params.disable_additional_properties:
        reason = "say additionalProperties: false in the schema"
        raise UnsupportedError("structured_outputs.disable_additional_properties", reason)
    options = dict(arguments.options or {})
    if is_compact or params.disable_any_whitespace:
        options.setdefault("whitespace", "compact")
    name = next(name for name in _KINDS if getattr(params, name) is not None)
    value = getattr(params, name)
    kind = _KINDS[name]
    if kind is RequestKind.JSON_OBJECT:
        if value is not True:
            raise GrammarError("structured_outputs.json_object is true or left out")
        return GrammarRequest.of(kind, "", options)
    return GrammarRequest.of(kind, value if isinstance(value, str) else _json(name, value), options)


def logits_request_of(arguments: BridleArguments, *, is_compact: bool = False) -> GrammarRequest | None:
    """What a request asks of the logits processor; None if nothing. Raises as `request_of`."""
    from vllm.exceptions import VLLMValidationError
    from vllm.sampling_params import StructuredOutputsParams

    if arguments.logits is None:
        return None
    unknown = sorted(map(str, arguments.logits.keys() - set(_MEMBERS)))
    if unknown:
        raise GrammarError(f"extra_args['bridle']['logits'] has no {unknown[0]!r}, but {', '.join(_MEMBERS)}")
    given = [name for name in _KINDS if arguments.logits.get(name) is not None]
    if len(given) != 1:
        raise GrammarError(f"extra_args['bridle']['logits'] has one of {', '.join(_KINDS)}, not {given or 'none'}")
    try:
        params = StructuredOutputsParams(**arguments.logits)
    except (TypeError, ValueError, VLLMValidationError) as error:
        raise GrammarError(f"extra_args['bridle']['logits'] is no structured_outputs: {error}") from None
    return request_of(params, arguments, is_compact=is_compact)


def _json(name: str, value: Any) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise GrammarError(f"structured_outputs.{name} is not JSON: {error}") from None
