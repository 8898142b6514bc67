"""What vLLM calls when it starts: never raises, and changes nothing that it does not know. With a stand-in of vLLM."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from bridle.integrations.vllm.plugin import register

PLUGIN_LOGGER = "vllm.plugins.bridle"


class Params:
    extra_args = None

    def _validate_structured_outputs(self, model_config, structured_outputs_config, tokenizer):
        self.asked = structured_outputs_config


class Manager:
    def __init__(self, vllm_config):
        self.backend = None

    def _create_grammar(self, request):
        return "theirs"


@dataclasses.dataclass
class Config:
    backend: str = "auto"


@pytest.fixture
def vllm(monkeypatch):
    """vLLM as far as the plugin looks, and what it would wrap there."""
    modules = {
        "vllm": {"__version__": "0.32.0"},
        "vllm.config": {},
        "vllm.config.structured_outputs": {"StructuredOutputsConfig": Config},
        "vllm.sampling_params": {"SamplingParams": type("SamplingParams", (Params,), dict(Params.__dict__))},
        "vllm.v1": {},
        "vllm.v1.structured_output": {"StructuredOutputManager": type("Manager", (Manager,), dict(Manager.__dict__))},
    }
    for name, members in modules.items():
        module = ModuleType(name)
        module.__path__ = []
        for member, value in members.items():
            setattr(module, member, value)
        monkeypatch.setitem(sys.modules, name, module)
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, module)
    return sys.modules["vllm"]


def wrapped(vllm):
    params, manager = vllm.sampling_params.SamplingParams, vllm.v1.structured_output.StructuredOutputManager
    return params._validate_structured_outputs, manager.__init__, manager._create_grammar


def test_a_known_version_is_wrapped_once_and_other_backends_go_as_before(vllm):
    before = wrapped(vllm)
    register()
    after = wrapped(vllm)
    assert all(old is not new for old, new in zip(before, after))
    register()
    assert wrapped(vllm) == after
    params = vllm.sampling_params.SamplingParams()
    theirs = SimpleNamespace(backend="xgrammar")
    params._validate_structured_outputs(None, theirs, None)
    assert params.asked is theirs
    config = SimpleNamespace(structured_outputs_config=theirs, model_config=SimpleNamespace(skip_tokenizer_init=False))
    manager = vllm.v1.structured_output.StructuredOutputManager(config)
    assert manager.backend is None
    assert manager._create_grammar(None) == "theirs"


@pytest.mark.parametrize("version", ["0.31.2", "0.33.0", "0.320.0", "1.0", "dev", None])
def test_an_unknown_version_is_left_as_it_was_with_a_warning(vllm, caplog, version):
    if version is None:
        del vllm.__version__
    else:
        vllm.__version__ = version
    before = wrapped(vllm)
    with caplog.at_level("WARNING", PLUGIN_LOGGER):
        register()
    assert wrapped(vllm) == before
    assert "is not available: it was tried with vLLM 0.32" in caplog.text


def test_functions_with_other_parameters_are_left_as_they_were(vllm, caplog):
    def _create_grammar(self, request, more):
        return None

    vllm.v1.structured_output.StructuredOutputManager._create_grammar = _create_grammar
    before = wrapped(vllm)
    with caplog.at_level("WARNING", PLUGIN_LOGGER):
        register()
    assert wrapped(vllm) == before
    assert "has the parameters self, request, more" in caplog.text


def test_a_vllm_without_a_part_is_left_as_it_was(vllm, monkeypatch, caplog):
    monkeypatch.delattr(vllm.v1.structured_output, "StructuredOutputManager")
    with caplog.at_level("WARNING", PLUGIN_LOGGER):
        register()
    assert "is not available: ImportError" in caplog.text


def test_without_vllm_registering_warns_and_imports_nothing_heavy():
    program = (
        "import sys, logging; logging.basicConfig(); sys.modules['vllm'] = None\n"
        "from bridle.integrations.vllm.plugin import register; register()\n"
        "print(sorted({'numba', 'torch', 'llvmlite'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert "is not available" in done.stderr
