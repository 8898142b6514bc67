"""How often the model in the box writes a valid trace of ReAct with two toy tools: inside the specification, and alone.

    python bench/agent_runs.py --runs 200

Alone, the model has the same prompt, tools and limits, and stops at each `Observation:`, as loops without constraints
do it. Both kinds of traces are judged by tests/react_checker.py, which shares no code with bridle.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import bridle
import react_checker
from bridle.integrations import hf

__all__ = ["alone", "inside"]

QUESTIONS = (
    "What is the weather in Rome?", "How many degrees are there in Lima and in Oslo together?", "What is 41 and 17?",
    "Where is the old bridge?",
)  # fmt: skip
TOKENS = 500


def question(seed: int) -> str:
    return QUESTIONS[seed % len(QUESTIONS)]


def compiled_agent(model: Any, tokenizer: Any) -> bridle.Compiled:
    """ReAct with the toy tools, for the model's vocabulary."""
    spec = bridle.AgentSpec.ready("react", tools=react_checker.TOOLS)
    return bridle.compile(bridle.Grammar.from_agent(spec), hf.vocabulary_of(model, tokenizer))


def inside(model: Any, tokenizer: Any, compiled: bridle.Compiled, seed: int) -> str:
    """The text of a run inside the specification."""
    options = {"question": question(seed), "seed": seed, "max_new_tokens": TOKENS}
    return bridle.agents.run(model, tokenizer, compiled, react_checker.TOOLS, **options).text


def alone(model: Any, tokenizer: Any, seed: int) -> str:
    """The text of a run without constraints, in which tools are called as well as they can be."""
    text = f"Question: {question(seed)}\n"
    left = TOKENS
    while left > 0:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.inference_mode(), torch.random.fork_rng():
            torch.manual_seed(seed)
            output = model.generate(
                ids, do_sample=True, max_new_tokens=left, stop_strings=["Observation:"], tokenizer=tokenizer
            )
        new = output[0, ids.shape[1] :].tolist()
        left -= len(new)
        text += tokenizer.decode(new, skip_special_tokens=True)
        if not text.rstrip().endswith("Observation:"):
            break
        text = f"{text.rstrip()} {called(text)}\n"
    return text.rstrip("\n")


def called(text: str) -> str:
    """What the tool says that was called last."""
    try:
        tool = text.rpartition("Action: ")[2].partition("\n")[0]
        arguments = json.loads(text.rpartition("Action Input: ")[2].partition("\n")[0])
        return str(react_checker.TOOLS[tool](**arguments))
    except Exception as error:
        return f"Error: {error}".replace("\n", " ")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--show", type=int, default=0, help="faulty traces to show")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model, tokenizer = hf.load()
    compiled = compiled_agent(model, tokenizer)
    for name, run in (
        ("inside", lambda seed: inside(model, tokenizer, compiled, seed)),
        ("alone", lambda seed: alone(model, tokenizer, seed)),
    ):
        began, faults, shown = time.thread_time(), Counter[str](), 0
        for seed in range(arguments.runs):
            text = run(seed)
            fault = react_checker.fault_of(text)
            faults[fault.partition(": ")[2].partition(" ")[0] if fault.startswith("step") else fault[:30]] += 1
            if fault and shown < arguments.show:
                shown += 1
                print(f"--- {name}, seed {seed}: {fault}\n{text}")
        took = (time.thread_time() - began) / arguments.runs
        print(f"{name}: {faults['']} of {arguments.runs} valid, {took:.2f} s each")


if __name__ == "__main__":
    main()
