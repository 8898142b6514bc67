"""Grammar, history and small models draft tokens ahead; one forward verifies; the text does not change.

A source proposes a tree of tokens (`sources.py` is the protocol, `draft_tree.py` the tree). `drafter.py` merges what
all sources propose, cuts what the grammar forbids and keeps what is worth its cost, by what earlier proposals were
worth (`acceptance.py`). `tree_attention.py` reads the tree in one forward. Where people decode, that is put together:
`integrations/hf/speculation.py`.

| source | drafts from |
|---|---|
| `grammar_source.py` | what the grammar dictates, in the layout that the text has had so far |
| `history.py` | Lookahead's trie of n-grams; repetitions in the text; documents |
| `draft_model.py` | a smaller model with the same tokens |
| `heads.py` | further decoding heads of the model, as Medusa has them |
"""
