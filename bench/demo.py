"""`make demo`: the model in the box, left alone and then bridled, on three schemas.

For each schema the same model answers the same prompt twice, sampled with the same seed: first without a grammar, then
inside it. Each answer is judged by `jsonschema`, which shares no code with bridle. Exit code 0 if every bridled answer
is complete and valid; what the model does alone is shown only.

Two of the schemas bound every text that satisfies them; the tree is recursive and has no such bound, but the model has
learned to end its trees: of 100 seeds 98 end within the budget, those below by far. Runs in seconds, offline; the first
run on a machine compiles the kernels, and says so.
"""

from __future__ import annotations

import json
import sys
from typing import Any, NamedTuple

import jsonschema
import torch
from transformers.utils import logging

import bridle
from bridle.integrations import hf

TEMPERATURE = 0.8
BUDGET = 400  # tokens


class Case(NamedTuple):
    """What the model is asked with which seed, and the schema that its answer has to satisfy."""

    name: str
    seed: int
    prompt: str
    schema: dict[str, Any]


def text(longest: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": longest}


def array(items: dict[str, Any], fewest: int, most: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": fewest, "maxItems": most}


def record(**members: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


ADDRESS = record(street=text(24), city=text(16), zip={"type": "string", "pattern": "^[0-9]{5}$"})
PERSON = record(name=text(24), age={"type": "integer", "minimum": 18, "maximum": 99}, address=ADDRESS)
COMPANY = record(company=text(24), founded={"type": "integer", "minimum": 1800, "maximum": 2026}, owner=PERSON)

FOLDER = {"$ref": "#/$defs/folder", "$defs": {"folder": record(name=text(12), entries=array({}, 0, 2))}}
FOLDER["$defs"]["folder"]["properties"]["entries"]["items"] = {"$ref": "#/$defs/folder"}  # type: ignore[index]

ORDER = record(
    status={"enum": ["draft", "paid", "shipped"]},
    priority={"enum": [1, 2, 3, None]},
    tags=array(text(12), 2, 3),
    items=array(record(product=text(16), amount={"type": "integer", "minimum": 1, "maximum": 20}), 2, 2),
)

CASES = (
    Case("nested objects", 10, "Describe a company as JSON:\n", COMPANY),
    Case("a recursive tree", 8, "Describe a folder as JSON:\n", FOLDER),
    Case("enums and arrays", 8, "Describe a order as JSON:\n", ORDER),
)


def fault(answer: str, schema: dict[str, Any]) -> str | None:
    """What is wrong with an answer, in the words of `json` and `jsonschema`; None if nothing is."""
    try:
        value = json.loads(answer)
    except ValueError as error:
        return f"not JSON: {error}"
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    errors = jsonschema.Draft202012Validator(schema, format_checker=checker).iter_errors(value)
    worst = jsonschema.exceptions.best_match(errors)
    return None if worst is None else worst.message


def alone(model: Any, tokenizer: Any, prompt: str, seed: int) -> str:
    """What the model says without a grammar."""
    torch.manual_seed(seed)
    inputs = tokenizer(prompt, return_tensors="pt")
    with torch.inference_mode():
        ids = model.generate(**inputs, max_new_tokens=BUDGET, do_sample=True, temperature=TEMPERATURE)
    return str(tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))


def bridled(model: Any, tokenizer: Any, case: Case, seed: int) -> hf.Result:
    """What it says inside the schema."""
    grammar = bridle.Grammar.from_json_schema(case.schema, max_whitespace=1)  # one-line answers
    sampling = {"max_new_tokens": BUDGET, "seed": seed, "temperature": TEMPERATURE}
    return hf.generate(model, tokenizer, case.prompt, grammar, **sampling)[0]


def shown(label: str, answer: str, found: str | None) -> str:
    short = answer if len(answer) <= 600 else answer[:600] + " …"
    indented = short.strip().replace("\n", "\n    ")
    return f"  {label}:\n    {indented}\n    → {'satisfies the schema' if found is None else found[:160]}"


def main() -> int:
    logging.disable_progress_bar()
    torch.set_num_threads(1)  # a model this small only waits for a second one
    model, tokenizer = hf.load()
    sound = 0
    for case in CASES:
        print(f"── {case.name}: {case.prompt.strip()}", flush=True)
        free = alone(model, tokenizer, case.prompt, case.seed)
        print(shown("alone", free, fault(free, case.schema)), flush=True)
        result = bridled(model, tokenizer, case, case.seed)
        found = fault(result.text, case.schema) if result.complete else f"incomplete after {BUDGET} tokens"
        print(shown("bridled", result.text, found))
        stats = result.stats
        print(f"    {stats.tokens} tokens, {stats.mask_us / max(1, stats.masks):.0f} us per mask\n", flush=True)
        sound += found is None
    print(f"{sound} of {len(CASES)} bridled answers are complete and satisfy their schema.")
    return 0 if sound == len(CASES) else 1


if __name__ == "__main__":
    sys.exit(main())
