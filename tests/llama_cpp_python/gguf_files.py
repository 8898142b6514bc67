"""GGUF files for the tests: the model in the box, one of random weights, and files that hold a vocabulary alone.

A Llama's tensors get GGUF's names, and its queries and keys the order in which llama.cpp rotates them: pairs of
neighbours, where transformers pairs the halves of a head. Source: ggml's docs/gguf.md; llama.cpp, conversion of
LlamaForCausalLM.

    python tests/llama_cpp_python/gguf_files.py box.gguf        # the model in the box, float32
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors import safe_open

BOX = Path(__file__).parents[2] / "integrations" / "box"
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6  # gguf.TokenType

_LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def write_box(path: Path) -> Path:
    """The model in the box with its tokenizer, all weights in float32 (bfloat16 ones fit in exactly)."""
    config = json.loads((BOX / "config.json").read_text())
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    writer = _llama(
        path, config["max_position_embeddings"], config["hidden_size"], config["num_hidden_layers"],
        config["intermediate_size"], heads, kv_heads, config["rms_norm_eps"],
    )  # fmt: skip
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    _add_box_tokenizer(writer)
    with safe_open(BOX / "model.safetensors", "pt") as tensors:
        for name in tensors.keys():  # noqa: SIM118 — no mapping, it only has the method
            weight = tensors.get_tensor(name).float().numpy()
            if "q_proj" in name or "k_proj" in name:
                weight = _neighbours_paired(weight, heads if "q_proj" in name else kv_heads)
            writer.add_tensor(_gguf_name(name), np.ascontiguousarray(weight))
    return _written(writer, path)


def _neighbours_paired(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows (head, half, i) become (head, i, half)."""
    rows, width = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, width).swapaxes(1, 2).reshape(rows, width)


def _gguf_name(name: str) -> str:
    stem = name.removesuffix(".weight")
    if stem in _NAMES:
        return f"{_NAMES[stem]}.weight"
    _, _, layer, rest = stem.split(".", 3)
    return f"blk.{layer}.{_LAYER_NAMES[rest]}.weight"


def _add_box_tokenizer(writer: gguf.GGUFWriter) -> None:
    data = json.loads((BOX / "tokenizer.json").read_text())
    special = {token["content"]: token["id"] for token in data["added_tokens"]}
    id_of = data["model"]["vocab"] | special
    pieces = sorted(id_of, key=id_of.__getitem__)
    kinds = [CONTROL if piece in special else NORMAL for piece in pieces]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in data["model"]["merges"]]
    add_bpe(writer, pieces, kinds, merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(True)


def add_bpe(writer: gguf.GGUFWriter, pieces: Sequence[str], kinds: Sequence[int], merges: Sequence[str]) -> None:
    """A byte-level BPE tokenizer: pieces in GPT-2's alphabet."""
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(list(pieces))
    writer.add_token_types(list(kinds))
    writer.add_token_merges(list(merges))


def write_sentencepiece(path: Path, pieces: Sequence[str], kinds: Sequence[int]) -> Path:
    """A model of random weights with a SentencePiece vocabulary; 0 is the unknown token, 1 begins a text, 2 ends it."""
    writer = _llama(path, 512, 32, 1, 64, 2, 2, 1e-6)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(list(pieces))
    writer.add_token_scores([-float(i) for i in range(len(pieces))])
    writer.add_token_types(list(kinds))
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    _add_random_weights(writer, len(pieces))
    return _written(writer, path)


def write_bpe(path: Path, pieces: Sequence[str], kinds: Sequence[int], **ids: int) -> Path:
    """A file of a byte-level BPE vocabulary alone. ids : of `eos`, `eot` and the like."""
    writer = _llama(path, 512, 32, 1, 64, 2, 2, 1e-6)
    add_bpe(writer, pieces, kinds, ["a b"])  # llama.cpp reads no file without a merge
    for name, id_ in ids.items():
        writer.add_uint32(f"tokenizer.ggml.{name}_token_id", id_)
    return _written(writer, path)


def _llama(
    path: Path, context: int, width: int, layers: int, inner: int, heads: int, kv_heads: int, eps: float
) -> gguf.GGUFWriter:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(eps)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    return writer


def _add_random_weights(writer: gguf.GGUFWriter, tokens: int) -> None:
    """For the shape that `write_sentencepiece` has: one layer."""
    rng = np.random.default_rng(0)
    shapes = {
        "token_embd": (tokens, 32), "output_norm": (32,), "blk.0.attn_norm": (32,), "blk.0.ffn_norm": (32,),
        "blk.0.attn_q": (32, 32), "blk.0.attn_k": (32, 32), "blk.0.attn_v": (32, 32), "blk.0.attn_output": (32, 32),
        "blk.0.ffn_gate": (64, 32), "blk.0.ffn_up": (64, 32), "blk.0.ffn_down": (32, 64),
    }  # fmt: skip
    for name, shape in shapes.items():
        weight = rng.normal(scale=0.3, size=shape) if len(shape) > 1 else np.ones(shape)
        writer.add_tensor(f"{name}.weight", weight.astype(np.float32))


def _written(writer: Any, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


if __name__ == "__main__":
    print(write_box(Path(sys.argv[1])))
