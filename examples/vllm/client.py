"""What can be asked of a vLLM server whose backend is bridle, through the `openai` package.

    python examples/vllm/serve.py &
    python examples/vllm/client.py                      # --base-url and --model for another server

Each function makes one kind of request and returns what came; `main` prints all of it. The model in the box has learned
form, not facts, so expect answers of the right shape and of no sense.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import openai

import bridle

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0, "maximum": 120}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
ADD = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
    "additionalProperties": False,
}
# vLLM holds arguments to their schema where a tool is strict; `--tool-strict-level=parameter` makes all of them so.
TOOLS = [{"type": "function", "function": {"name": "add", "strict": True, "parameters": ADD}}]
EMAIL = r"[a-z]{3,8}@[a-z]{3,8}\.(com|org)"
EBNF = 'root ::= move (" " move){2}\nmove ::= [a-h] [1-8] "-" [a-h] [1-8]'
LARK = 'start: NAME "=" NUMBER\nNAME: /[a-z]{1,8}/\nNUMBER: /[0-9]{1,3}/'
TAGS = {
    "type": "structural_tag",
    "format": {"type": "tag", "begin": "<person>", "content": {"type": "json_schema", "json_schema": PERSON},
               "end": "</person>"},
}  # fmt: skip


class Asker:
    """A server and the model that is asked there."""

    def __init__(self, base_url: str, model: str) -> None:
        self.client = openai.OpenAI(base_url=base_url, api_key="none", max_retries=0)
        self.model = model

    def chat(self, prompt: str, **options: Any) -> Any:
        """The message that answers a prompt."""
        options = {"max_tokens": 100, "seed": 1} | options
        messages: Any = [{"role": "user", "content": prompt}]
        return self.client.chat.completions.create(model=self.model, messages=messages, **options).choices[0].message

    def streamed(self, prompt: str, **options: Any) -> Iterator[str]:
        """The pieces of the answer to a prompt, arguments of tools among them."""
        options = {"max_tokens": 100, "seed": 1} | options
        messages: Any = [{"role": "user", "content": prompt}]
        for event in self.client.chat.completions.create(model=self.model, messages=messages, stream=True, **options):
            for choice in event.choices:
                yield choice.delta.content or ""
                yield from (call.function.arguments or "" for call in choice.delta.tool_calls or () if call.function)

    # ------------------------------------------------------------------------------------------ what OpenAI has

    def json_schema(self) -> str:
        return self.chat("Describe a person as JSON:", response_format=schema_format(PERSON)).content

    def json_schema_streamed(self) -> str:
        return "|".join(self.streamed("Describe a person as JSON:", response_format=schema_format(PERSON)))

    def json_object(self) -> str:
        return self.chat("Describe a person as JSON:", response_format={"type": "json_object"}).content

    def required_tool(self) -> str:
        [call, *_] = self.chat("What is 3 plus 4?", tools=TOOLS, tool_choice="required").tool_calls
        return f"{call.function.name}({call.function.arguments})"

    def named_tool(self) -> str:
        named = {"type": "function", "function": {"name": "add"}}
        return self.chat("What is 3 plus 4?", tools=TOOLS, tool_choice=named).tool_calls[0].function.arguments

    def named_tool_streamed(self) -> str:
        named = {"type": "function", "function": {"name": "add"}}
        return "|".join(self.streamed("What is 3 plus 4?", tools=TOOLS, tool_choice=named))

    # ------------------------------------------------------------------------------------------ what vLLM adds

    def regex(self) -> str:
        return self.chat("Her e-mail address is", extra_body=structured(regex=EMAIL)).content

    def choice(self) -> str:
        return self.chat("Is it red or green?", extra_body=structured(choice=["red", "green"])).content

    def ebnf(self) -> str:
        return self.chat("Three moves:", extra_body=structured(grammar=EBNF)).content

    def lark(self) -> str:
        return self.chat("An assignment:", extra_body=structured(grammar=LARK)).content

    def structural_tag(self) -> str:
        return self.chat("Describe a person:", extra_body=structured(structural_tag=json.dumps(TAGS))).content

    # ------------------------------------------------------------------------------------------ what bridle adds

    def members_in_any_order(self) -> str:
        """Options of Grammar.from_json_schema."""
        options = bridle_says(options={"property_order": "any", "whitespace": "compact"})
        return self.chat("Describe a person:", response_format=schema_format(PERSON), extra_body=options).content

    def agent(self, question: str = "What is 3 plus 4?", turns: int = 8) -> str:
        """The trace of a ReAct agent. Each request is one turn of the model; it ends where an observation is awaited,
        which is made here, and the next request goes on behind it."""
        tools = {"add": ADD}
        spec = bridle.AgentSpec.ready("react", tools=tools)
        trace = bridle.agents.feed(spec, "", question)
        for _ in range(turns):
            arguments = bridle_says(agent="react", tools=tools, trace=trace)
            answer = self.client.completions.create(
                model=self.model, prompt=trace, max_tokens=150, seed=1, extra_body=arguments
            )
            trace += answer.choices[0].text
            if bridle.agents.awaited(spec, trace) is None:  # it has ended, or its tokens did not suffice
                break
            trace = bridle.agents.feed(spec, trace, _observation(trace))
        return trace

    def malformed_schema(self) -> str:
        """The error, which says what is wrong, and where; the server serves on."""
        try:
            self.chat("?", response_format=schema_format({"properties": {"age": {"type": "intger"}}}))
        except openai.BadRequestError as error:
            return f"{error.status_code}: {error.body['message'] if isinstance(error.body, dict) else error.body}"
        raise AssertionError("a schema that is none was taken")


def schema_format(schema: dict[str, Any]) -> Any:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def structured(**what: Any) -> dict[str, Any]:
    return {"structured_outputs": what}


def bridle_says(**what: Any) -> dict[str, Any]:
    """What vLLM has no words for. The values of vllm_xargs are plain, so this is JSON text."""
    return {"vllm_xargs": {"bridle": json.dumps(what)}}


def _observation(trace: str) -> str:
    """What the tool says that was called last."""
    numbers = json.loads(re.findall(r"^Action Input: (.*)", trace, re.MULTILINE)[-1])
    return str(numbers["a"] + numbers["b"])


KINDS: list[Callable[[Asker], str]] = [
    Asker.json_schema, Asker.json_schema_streamed, Asker.json_object, Asker.required_tool, Asker.named_tool,
    Asker.named_tool_streamed, Asker.regex, Asker.choice, Asker.ebnf, Asker.lark, Asker.structural_tag,
    Asker.members_in_any_order, Asker.agent, Asker.malformed_schema,
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base-url", default="http://127.0.0.1:8000/v1")
    parser.add_argument("--model", default="box")
    options = parser.parse_args()
    asker = Asker(options.base_url, options.model)
    for kind in KINDS:
        print(f"{kind.__name__}\n    {kind(asker).replace(chr(10), chr(10) + '    ')}")


if __name__ == "__main__":
    main()
