"""What a vocabulary holds, what it refuses, and that its bytes are what each tokenizer's own decoding appends."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vocabularies
from bridle.automata.errors import VocabularyError
from bridle.automata.tokenizer_bytes import read_hf
from bridle.automata.vocabulary import Vocabulary


def make(tokens=(b"a", b"b", b"<end>"), stop_token_ids=2, **more):
    return Vocabulary(list(tokens), stop_token_ids=stop_token_ids, **more)


# ---------------------------------------------------------------------------------------------- content


def test_flat_bytes_and_offsets_are_what_is_read_for_the_tokens():
    for vocabulary in (vocabularies.tiny(), vocabularies.byte_level()):
        flat, offsets = vocabulary.token_bytes, vocabulary.token_offsets
        assert flat.dtype == np.uint8 and offsets.dtype == np.int32 and len(offsets) == len(vocabulary.tokens) + 1
        assert not flat.flags.writeable and not offsets.flags.writeable
        assert vocabulary.max_token_bytes == max(np.diff(offsets))
        special = vocabulary.special_tokens.values()
        for i, token in enumerate(vocabulary.tokens):
            reading = flat[offsets[i] : offsets[i + 1]].tobytes()
            assert reading == vocabulary.reading(i)
            assert (reading == token) == (i not in special and not {0xFE, 0xFF} & set(token))
            assert reading == token or bool(reading) == (i in special)


def test_special_and_stop_tokens_have_no_bytes_whatever_is_passed():
    vocabulary = make([b"a", b"<s>", b"</s>", b"<x>"], [2], special_tokens={"<s>": 1, "<x>": 3})
    assert vocabulary.tokens == (b"a", b"", b"", b"")
    assert [vocabulary.reading(i) for i in range(4)] == [b"a", b"\xff<s>\xfe1\xff", b"", b"\xff<x>\xfe3\xff"]
    assert vocabulary.special_tokens == {"<s>": 1, "<x>": 3}


def test_padding_counts_in_the_size_and_nowhere_else():
    vocabulary = make(size=64)
    assert vocabulary.size == 64 and len(vocabulary.tokens) == 3 and make().size == 3


def test_stop_tokens_may_be_one_or_several_and_lie_in_the_padding():
    assert make(stop_token_ids=2).stop_token_ids == (2,)
    assert make(stop_token_ids=np.int64(2)).stop_token_ids == (2,)
    assert make(stop_token_ids=np.array([2, 1])).stop_token_ids == (1, 2)
    assert make(stop_token_ids={2, 1, 63}, size=64).stop_token_ids == (1, 2, 63)
    assert make(stop_token_ids=[2, 2]).stop_token_ids == (2,)


def test_an_empty_list_of_tokens_is_a_vocabulary_of_padding():
    vocabulary = Vocabulary([], stop_token_ids=0, size=1)
    assert vocabulary.tokens == () and vocabulary.trie.n_nodes == 1 and vocabulary.max_token_bytes == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"tokens": [b"a", "b"]}, r"token 1 is 'b', a str, not bytes; pass .*from_hf"),
        ({"tokens": [b"a", None]}, r"token 1 is None, a NoneType, not bytes"),
        ({"tokens": [bytearray(b"a")]}, r"a bytearray, not bytes"),
        ({"tokens": "ab"}, r"tokens is a str; pass a list of bytes"),
        ({"tokens": {"a": 0}}, r"tokens is a dict; pass a list of bytes"),
        ({"size": 2}, r"size=2 is less than the 3 tokens given; pass the width of the model's logits"),
        ({"size": -1}, r"size=-1 is less than"),
        ({"size": 2**40}, r"size=1099511627776 is not from 1"),
        ({"size": 3.0}, r"size is 3.0, a float; pass an int"),
        ({"size": True}, r"size is True; pass an int"),
        ({"tokens": [], "stop_token_ids": []}, r"size=0 is not from 1"),
        ({"stop_token_ids": []}, r"stop_token_ids is empty, .*; pass the ids that end one"),
        ({"stop_token_ids": None}, r"stop_token_ids is None"),
        ({"stop_token_ids": 3}, r"stop token 3 is not an id of a vocabulary of size 3 \(0 to 2\)"),
        ({"stop_token_ids": [0, -1]}, r"stop token -1 is not an id"),
        ({"stop_token_ids": ["</s>"]}, r"a stop token's id is '</s>', a str; pass an int"),
        ({"stop_token_ids": "</s>"}, r"stop_token_ids is '</s>', a str; pass an int"),
        ({"special_tokens": {"<s>": 3}}, r"the special token '<s>' has the id 3, .* size 3; pass size="),
        ({"special_tokens": {0: "<s>"}}, r"the special token 0 is not named by a str"),
        ({"special_tokens": {"<s>": "0"}}, r"the id of the special token '<s>' is '0', a str"),
        ({"special_tokens": ["<s>"]}, r"special_tokens is \['<s>'\]; pass a dict"),
    ],
)
def test_errors_give_the_value_and_the_remedy(arguments, says):
    with pytest.raises(VocabularyError, match=says):
        Vocabulary(**({"tokens": [b"a", b"b", b"c"], "stop_token_ids": 2} | arguments))


def test_the_fingerprint_covers_everything_and_nothing_else():
    same = make(size=8, special_tokens={"x": 0, "y": 1})
    assert same.fingerprint == make(stop_token_ids=[2], size=8, special_tokens={"y": 1, "x": 0}).fingerprint
    assert len(same.fingerprint) == 64
    different = [
        make(size=8),
        make(),
        make(size=9),
        make([b"a", b"c", b""]),
        make([b"ab", b"", b""]),
        make([b"", b"ab", b""]),
        make([b"a", b"b", b"", b""]),
        make(stop_token_ids=[1, 2]),
        make(special_tokens={"x": 2}),
        make(special_tokens={"y": 2}),
        same,
    ]
    assert len({vocabulary.fingerprint for vocabulary in different}) == len(different)


def test_vocabularies_are_values():
    assert make() == make() and hash(make()) == hash(make()) and make() != make(size=9) and make() != 3
    copy = pickle.loads(pickle.dumps(vocabularies.tiny()))
    assert copy == vocabularies.tiny() and copy.tokens == vocabularies.tiny().tokens and copy.size == 96
    assert repr(make()).startswith("<Vocabulary of 3 tokens, size 3, stop [2], ")


def test_what_a_vocabulary_holds_cannot_be_changed():
    vocabulary = make(special_tokens={"x": 0})
    with pytest.raises(TypeError):
        vocabulary.special_tokens["y"] = 1
    with pytest.raises(ValueError):
        vocabulary.token_bytes[0] = 0
    assert isinstance(vocabulary.tokens, tuple)


def test_importing_it_imports_no_tokenizer_and_no_compiler():
    heavy = ["numba", "torch", "transformers", "tokenizers", "tiktoken", "sentencepiece", "huggingface_hub"]
    code = f"""
import sys
from bridle.automata.vocabulary import Vocabulary
Vocabulary._load = lambda self: None  # the kernels are loaded by the first vocabulary; its tree needs none
Vocabulary([b"a"], stop_token_ids=1, size=2).trie
print([name for name in {heavy} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------------------------------------- decoding, every id


def assert_appends(vocabulary, ids, decode, after):
    """For each id: decoding [after, id] gives the text of `after` and then the bytes that the vocabulary holds."""
    before = vocabulary.tokens[after]
    assert before.isalnum()
    wrong = {}
    for id_ in ids:
        expected = (before + vocabulary.tokens[id_]).decode("utf-8", "replace")
        if (got := decode([after, id_])) != expected:
            wrong[id_] = (got, expected)
    assert not wrong


def test_tekken_bytes_are_what_its_decoding_appends():
    tekkenizer = pytest.importorskip("mistral_common.tokens.tokenizers.tekken").Tekkenizer.from_file(
        vocabularies.tekken_file()
    )
    vocabulary = vocabularies.tekken()
    assert vocabulary.size == len(vocabulary.tokens) == tekkenizer.n_words
    assert vocabulary.stop_token_ids == (tekkenizer.eos_id,)
    assert {name: tekkenizer.get_special_token(name) for name in vocabulary.special_tokens} == vocabulary.special_tokens
    assert vocabulary.tokens[:1000] == (b"",) * 1000 and all(vocabulary.tokens[1000:])
    raw = tekkenizer._model.decode_bytes
    for id_ in range(1000, vocabulary.size):
        assert raw([97, id_ - 1000]) == b"a" + vocabulary.tokens[id_]
    assert_appends(vocabulary, range(vocabulary.size), tekkenizer.decode, 1097)


def test_sentencepiece_bytes_are_what_its_decoding_appends():
    model = pytest.importorskip("sentencepiece").SentencePieceProcessor(
        model_file=str(vocabularies.sentencepiece_file())
    )
    vocabulary = vocabularies.sentencepiece()
    assert vocabulary.size == len(vocabulary.tokens) == len(model) and vocabulary.stop_token_ids == (model.eos_id(),)
    ids = [id_ for id_ in range(len(model)) if not (model.is_control(id_) or model.is_unknown(id_))]
    assert set(range(len(model))) - set(ids) == set(vocabulary.special_tokens.values())
    assert_appends(vocabulary, ids, model.decode, model.piece_to_id("a"))
    assert vocabulary.tokens[model.piece_to_id("▁the")] == b" the"
    assert vocabulary.tokens[model.piece_to_id("<0x0A>")] == b"\n"


def test_every_sentencepiece_file_of_mistral_is_read():
    for path in sorted(vocabularies.sentencepiece_file().parent.glob("*.model.v*")):
        vocabulary = Vocabulary.from_sentencepiece(path)
        assert vocabulary.size >= 32_000 and {bytes([byte]) for byte in range(256)} <= set(vocabulary.tokens)


def test_tiktoken_bytes_are_what_its_decoding_appends():
    tiktoken = pytest.importorskip("tiktoken")
    expected = vocabularies.llama3()
    ranks = {token: id_ for id_, token in enumerate(expected.tokens) if token}
    special = dict(expected.special_tokens)
    encoding = tiktoken.Encoding("llama3", pat_str=r"\s+|\S+", mergeable_ranks=ranks, special_tokens=special)
    vocabulary = Vocabulary.from_tiktoken(encoding, stop_token_ids=expected.stop_token_ids)
    assert vocabulary == expected
    for id_, token in enumerate(vocabulary.tokens):
        assert not token if id_ in special.values() else encoding.decode_bytes([64, id_]) == b"a" + token


def test_tiktoken_stops_at_the_end_of_text_and_has_gaps():
    tiktoken = pytest.importorskip("tiktoken")
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"ab": 300}
    encoding = tiktoken.Encoding("x", pat_str=r".", mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 310})
    vocabulary = Vocabulary.from_tiktoken(encoding, size=320)
    assert vocabulary.stop_token_ids == (310,) and vocabulary.size == 320 and len(vocabulary.tokens) == 311
    assert vocabulary.tokens[300] == b"ab" and vocabulary.tokens[299] == b""
    silent = tiktoken.Encoding("y", pat_str=r".", mergeable_ranks=ranks, special_tokens={})
    with pytest.raises(VocabularyError, match="'y' names no token that ends a text; pass stop_token_ids="):
        Vocabulary.from_tiktoken(silent)


# ---------------------------------------------------------------------------------------------- Hugging Face


CORPUS = [
    'The {"name": "Zoë", "age": 42, "tags": ["naïve", "日本語", "😀"]} of the\n\n  quick\tbrown fox, jumps\u00a0over.',
    "def f(x):\n    return x ** 2  # čeština, Ελληνικά, русский, עברית, हिन्दी, 👍🏽",
] * 3


def byte_level_tokenizer():
    """A byte-level BPE trained here, as GPT-2, Llama-3 and Qwen have it, with added tokens of both kinds."""
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=700,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|end|>", "<|turn|>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_tokens(["<tool_call>", "<think deep>", "日本", "Ωé x", "  \n"])
    tokenizer.add_special_tokens(["<|pad|>"])
    return tokenizer


def metaspace_tokenizer(*, strip=True):
    """A BPE with "▁" for the space and byte pieces, as Llama-2, Mistral and Gemma have it."""
    tokenizers = pytest.importorskip("tokenizers")
    d = tokenizers.decoders
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += ["▁", "▁▁", "▁▁▁▁", "a", "b", "é", "日", "▁a", "▁the", "b▁", "a▁b", "<0x0a>", "<0xZZ>", "\ufffd", "\n"]
    pieces += ["Ġ", "😀"]
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.BPE({piece: i for i, piece in enumerate(pieces)}, [], unk_token="<unk>", byte_fallback=True)
    )
    steps = [d.Replace("▁", " "), d.ByteFallback(), d.Fuse()]
    tokenizer.decoder = d.Sequence([*steps, d.Strip(" ", 1, 0)] if strip else steps)
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.add_tokens(["<tool>", "with▁space", " led"])
    return tokenizer


def decoded_by(tokenizer):
    return lambda ids: tokenizer.decode(ids, skip_special_tokens=False)


def test_byte_level_bytes_are_what_the_tokenizer_appends():
    tokenizer = byte_level_tokenizer()
    vocabulary = Vocabulary.from_hf(tokenizer, stop_token_ids=tokenizer.token_to_id("<|end|>"))
    assert vocabulary.size == tokenizer.get_vocab_size()
    assert set(vocabulary.special_tokens) == {"<|end|>", "<|turn|>", "<|pad|>"}
    ids = set(range(vocabulary.size)) - set(vocabulary.special_tokens.values())
    assert_appends(vocabulary, ids, decoded_by(tokenizer), tokenizer.token_to_id("a"))
    assert vocabulary.tokens[tokenizer.token_to_id("<think deep>")] == b"<think deep>"
    assert vocabulary.tokens[tokenizer.token_to_id("日本")] == "日本".encode()
    assert {bytes([byte]) for byte in range(256)} <= set(vocabulary.tokens)


@pytest.mark.parametrize("strip", [True, False])
def test_metaspace_bytes_are_what_the_tokenizer_appends(strip):
    tokenizer = metaspace_tokenizer(strip=strip)
    vocabulary = Vocabulary.from_hf(tokenizer, stop_token_ids=2)
    assert vocabulary.special_tokens == {"<unk>": 0, "<s>": 1, "</s>": 2}
    assert_appends(vocabulary, range(3, vocabulary.size), decoded_by(tokenizer), tokenizer.token_to_id("a"))
    bytes_of = {piece: vocabulary.tokens[tokenizer.token_to_id(piece)] for piece in tokenizer.get_vocab()}
    assert bytes_of["▁the"] == b" the" and bytes_of["▁"] == b" " and bytes_of["b▁"] == b"b "
    assert bytes_of["<0x0A>"] == b"\n" and bytes_of["<0xFF>"] == b"\xff" and bytes_of["<0x0a>"] == b"\n"
    assert bytes_of["<tool>"] == b"<tool>" and bytes_of["with▁space"] == b"with space" and bytes_of["Ġ"] == "Ġ".encode()


def test_metaspace_decoder_without_byte_pieces_is_read():
    tokenizers = pytest.importorskip("tokenizers")
    pieces = [("<unk>", 0.0), ("▁", -1.0), ("▁the", -2.0), ("a", -1.0), ("<0x0A>", -3.0)]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, 0, False))
    tokenizer.decoder = tokenizers.decoders.Metaspace()
    vocabulary = Vocabulary.from_hf(tokenizer, stop_token_ids=0)
    assert vocabulary.tokens == (b"", b" ", b" the", b"a", b"<0x0A>")
    assert_appends(vocabulary, range(1, 5), decoded_by(tokenizer), 3)


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=40))
def test_the_bytes_of_an_encoded_text_are_the_text(text):
    for tokenizer, vocabulary in _both():
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert b"".join(vocabulary.tokens[id_] for id_ in ids).decode() == text


def _both(_made=[]):  # noqa: B006
    if not _made:
        byte_level, metaspace = byte_level_tokenizer(), metaspace_tokenizer(strip=False)
        normalizers = pytest.importorskip("tokenizers").normalizers
        metaspace.normalizer = normalizers.Replace(" ", "▁")
        _made += [(t, Vocabulary.from_hf(t, stop_token_ids=0)) for t in (byte_level, metaspace)]
    # "▁" in a text is a space for such a tokenizer; Hypothesis hardly ever writes it.
    return _made


def test_the_sentencepiece_file_reads_the_same_through_hugging_face():
    tokenizers = pytest.importorskip("tokenizers")
    model = pytest.importorskip("sentencepiece").SentencePieceProcessor(
        model_file=str(vocabularies.sentencepiece_file())
    )
    pieces = {model.id_to_piece(id_): id_ for id_ in range(len(model))}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(pieces, [], unk_token="<unk>", byte_fallback=True))
    d = tokenizers.decoders
    tokenizer.decoder = d.Sequence([d.Replace("▁", " "), d.ByteFallback(), d.Fuse(), d.Strip(" ", 1, 0)])
    expected = vocabularies.sentencepiece()
    tokenizer.add_special_tokens(sorted(expected.special_tokens, key=expected.special_tokens.__getitem__))
    assert Vocabulary.from_hf(tokenizer, stop_token_ids=expected.stop_token_ids) == expected


@pytest.mark.parametrize(
    ("decoder", "says"),
    [
        (lambda d: None, "no decoder is not supported: the pieces would be joined with spaces"),
        (lambda d: d.WordPiece(), "WordPiece.* depends on its neighbours"),
        (lambda d: d.BPEDecoder(), "BPEDecoder.* depends on its neighbours"),
        (lambda d: d.CTC(), "CTC.* depends on its neighbours"),
        (lambda d: d.Sequence([d.ByteFallback(), d.Fuse(), d.Strip(" ", 1, 1)]), '"Strip".* not known to work'),
        (lambda d: d.Sequence([d.Strip(" ", 1, 0), d.Fuse()]), '"Strip".* not known to work'),
        (lambda d: d.Sequence([d.ByteFallback(), d.Replace("a", "b")]), '"Replace".* not known to work'),
        (lambda d: d.Sequence([d.ByteLevel(), d.ByteFallback()]), '"ByteLevel".* not known to work'),
    ],
)
def test_kinds_that_are_not_understood_are_refused_by_name(decoder, says):
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE({"a": 0, "b": 1}, []))
    if (chosen := decoder(tokenizers.decoders)) is not None:
        tokenizer.decoder = chosen
    with pytest.raises(VocabularyError, match=says):
        Vocabulary.from_hf(tokenizer, stop_token_ids=0)


def test_a_tokenizer_that_decodes_otherwise_than_configured_is_refused():
    class Lying:
        def __init__(self, honest):
            self.honest = honest

        def __getattr__(self, name):
            return getattr(self.honest, name)

        def decode(self, ids, **more):
            return self.honest.decode(ids, **more).replace("Z", "z")

    with pytest.raises(VocabularyError, match=r"Lying is not understood: it decodes the ids .* to '0z', .* '0Z'"):
        read_hf(Lying(byte_level_tokenizer()))


def test_a_slow_tokenizer_is_refused_with_the_way_out():
    class SlowTokenizer:
        eos_token_id = 1

    with pytest.raises(VocabularyError, match=r"SlowTokenizer is not a fast tokenizer.*from_sentencepiece"):
        Vocabulary.from_hf(SlowTokenizer())


@pytest.fixture
def saved(tmp_path):
    """A folder as models come in: tokenizer files, and room for a generation_config.json."""
    transformers = pytest.importorskip("transformers")
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=byte_level_tokenizer(), eos_token="<|end|>", pad_token="<|pad|>"
    )
    fast.save_pretrained(tmp_path)
    return tmp_path, lambda: transformers.PreTrainedTokenizerFast.from_pretrained(tmp_path)


def test_all_ends_of_the_generation_config_stop(saved):
    folder, load = saved
    end, turn = load().convert_tokens_to_ids(["<|end|>", "<|turn|>"])
    assert Vocabulary.from_hf(load()).stop_token_ids == (end,)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [turn, end]}))
    assert Vocabulary.from_hf(load()).stop_token_ids == tuple(sorted((end, turn)))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": turn}))
    assert Vocabulary.from_hf(load()).stop_token_ids == tuple(sorted((end, turn)))
    (folder / "generation_config.json").write_text(json.dumps({"temperature": 1.0}))
    assert Vocabulary.from_hf(load()).stop_token_ids == (end,)
    assert Vocabulary.from_hf(load(), stop_token_ids=[turn]).stop_token_ids == (turn,)


def test_a_generation_config_that_cannot_be_read_is_an_error_unless_stop_tokens_are_given(saved):
    folder, load = saved
    (folder / "generation_config.json").write_text('{"eos_token_id": [1, ')
    with pytest.raises(VocabularyError, match=r"generation_config.json cannot be read .* pass stop_token_ids="):
        Vocabulary.from_hf(load())


def test_an_end_beyond_the_tokenizers_ids_widens_the_default_size(saved):
    folder, load = saved
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [0, 900]}))
    assert Vocabulary.from_hf(load()).size == 901
    assert Vocabulary.from_hf(load(), size=1024).stop_token_ids == (0, 900)
    with pytest.raises(VocabularyError, match="stop token 900"):
        Vocabulary.from_hf(load(), size=800)


def test_transformers_tokenizers_read_like_their_backend(saved):
    _, load = saved
    fast = load()
    vocabulary = Vocabulary.from_hf(fast, size=1024)
    assert vocabulary.size == 1024 and len(vocabulary.tokens) == len(fast)
    ids = set(range(len(fast))) - set(vocabulary.special_tokens.values())
    assert_appends(vocabulary, ids, fast.decode, fast.convert_tokens_to_ids("a"))
    assert vocabulary.special_tokens["<|pad|>"] == fast.pad_token_id
    with pytest.raises(VocabularyError, match="size=100 is less than"):
        Vocabulary.from_hf(fast, size=100)


def test_a_tokenizer_without_an_end_needs_one_given():
    with pytest.raises(VocabularyError, match="Tokenizer names no token that ends a text; pass stop_token_ids="):
        Vocabulary.from_hf(byte_level_tokenizer())


def test_files_that_are_not_what_they_should_be_are_refused(tmp_path):
    (tmp_path / "broken").write_text('{"config": {}}')
    for path in (tmp_path / "broken", tmp_path / "absent"):
        with pytest.raises(VocabularyError, match=r"is not a readable tekken\.json"):
            Vocabulary.from_tekken(path)
        pytest.importorskip("sentencepiece")
        with pytest.raises(VocabularyError, match="is not a readable SentencePiece model"):
            Vocabulary.from_sentencepiece(path)


def test_tekken_files_name_their_own_special_tokens(tmp_path):
    content = {
        "config": {"default_vocab_size": 8, "default_num_special_tokens": 4},
        "vocab": [{"rank": r, "token_bytes": "YQ=="} for r in range(6)],
        "special_tokens": [{"rank": 1, "token_str": "</s>"}, {"rank": 0, "token_str": "<unk>"}],
    }
    (tmp_path / "tekken.json").write_text(json.dumps(content))
    vocabulary = Vocabulary.from_tekken(tmp_path / "tekken.json", size=16)
    assert vocabulary.special_tokens == {"<unk>": 0, "</s>": 1, "<SPECIAL_2>": 2, "<SPECIAL_3>": 3}
    assert vocabulary.tokens == (b"",) * 4 + (b"a",) * 4 and vocabulary.size == 16
