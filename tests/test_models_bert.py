"""The parts of lesson 07: equal to those of torch, hidden as asked, kept and found again."""

import math
from collections import Counter

import pytest
import torch
from torch import nn

from course.models import pretrained, word_pieces, word_vectors
from course.models.attention import padding_mask
from course.models.bert import (
    CLS,
    MASK,
    NOT_ASKED,
    PAD,
    SEP,
    SPECIAL_TOKENS,
    Bert,
    BertClassifier,
    BertForPretraining,
    groups_of_weights,
    masked,
    masked_loss,
    mean_over_tokens,
    mean_surprise,
    read_both_ways,
    start_from_counts,
)

CLOSE = {"atol": 1e-5, "rtol": 0}
SIZES = {"num_symbols": 30, "num_channels": 8, "num_heads": 2, "num_layers": 2, "longest": 12}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def some_tokens(lengths, longest=None):
    tokens = torch.randint(5, 30, (len(lengths), longest or max(lengths)))
    for row, length in enumerate(lengths):
        tokens[row, length:] = PAD
    return tokens


def test_the_encoder_is_that_of_torch_with_the_same_weights():
    """BERT's kind: norm behind, GELU; nn.TransformerEncoder wants a mask of what is *not* seen."""
    bert = Bert(**SIZES, norm_first=False)
    layer = nn.TransformerEncoderLayer(8, 2, 32, 0.0, "gelu", batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    for ours, theirs in zip(bert.encoder.layers, encoder.layers, strict=True):
        attention = ours.attention
        parts = (attention.to_queries, attention.to_keys, attention.to_values)
        theirs.self_attn.in_proj_weight.data = torch.cat([part.weight for part in parts])
        theirs.self_attn.in_proj_bias.data = torch.cat([part.bias for part in parts])
        theirs.self_attn.out_proj.load_state_dict(attention.to_output.state_dict())
        theirs.linear1.load_state_dict(ours.feed_forward.first.state_dict())
        theirs.linear2.load_state_dict(ours.feed_forward.second.state_dict())
        theirs.norm1.load_state_dict(ours.norm_1.state_dict())
        theirs.norm2.load_state_dict(ours.norm_2.state_dict())
    lengths = torch.tensor([5, 3])
    tokens = some_tokens(lengths)
    expected = encoder(bert.embedding(tokens), src_key_padding_mask=tokens == PAD)
    found = read_both_ways(bert, tokens, lengths)
    torch.testing.assert_close(found[tokens != PAD], expected[tokens != PAD], **CLOSE)


def test_every_real_token_looks_both_ways_and_none_at_the_padding():
    bert = Bert(**SIZES).eval()
    tokens, lengths = some_tokens([5, 3]), torch.tensor([5, 3])
    before = read_both_ways(bert, tokens, lengths)
    changed = tokens.clone()
    changed[0, 4] = changed[0, 4] % 20 + 6
    after = read_both_ways(bert, changed, lengths)
    assert (before[0] != after[0]).any(dim=1).all() and torch.equal(before[1], after[1])
    changed = tokens.clone()
    changed[1, 3:] = 7
    after = read_both_ways(bert, changed, lengths)
    torch.testing.assert_close(after[1, :3], before[1, :3], **CLOSE)


def test_segments_make_a_difference():
    bert, tokens = Bert(**SIZES), some_tokens([4])
    zeros = torch.zeros_like(tokens)
    assert torch.equal(bert(tokens), bert(tokens, zeros))
    assert not torch.allclose(bert(tokens), bert(tokens, zeros + 1))


def test_too_many_tokens_are_refused_in_words():
    with pytest.raises(ValueError, match=r"13 tokens are more than the 12 places .* larger"):
        Bert(**SIZES)(torch.full((1, 13), 6))


def test_masking_hides_what_it_says():
    tokens = torch.randint(0, 1000, (300, 200))
    inputs, targets = masked(tokens, 1000)
    asked = targets != NOT_ASKED
    assert torch.equal(targets[asked], tokens[asked])
    assert torch.equal(inputs[~asked], tokens[~asked])
    assert not asked[tokens < len(SPECIAL_TOKENS)].any()
    assert asked[tokens >= 5].float().mean().item() == pytest.approx(0.15, abs=0.01)
    assert (inputs[asked] == MASK).float().mean().item() == pytest.approx(0.8, abs=0.02)
    same = (inputs == tokens)[asked]
    assert same.float().mean().item() == pytest.approx(0.1, abs=0.02)
    others = inputs[asked & (inputs != MASK) & (inputs != tokens)]
    assert others.min() >= 5 and others.max() < 1000 and len(others.unique()) > 300


def test_each_token_may_have_its_own_rate_of_masking():
    tokens = torch.randint(5, 30, (100, 100))
    _, targets = masked(tokens, 30, (tokens < 10).float())
    assert torch.equal(targets != NOT_ASKED, tokens < 10)


def test_only_the_places_that_are_asked_for_get_logits():
    model, tokens = BertForPretraining(Bert(**SIZES)), some_tokens([6, 4])
    inputs, targets = masked(tokens, 30, 0.5)
    logits = model(inputs, targets)
    asked = targets != NOT_ASKED
    assert logits.shape == (asked.sum(), 30)
    torch.testing.assert_close(logits, model.guess(model.encoder(inputs))[asked], **CLOSE)
    loss = masked_loss(model.guess(model.encoder(inputs)), tokens, asked)
    torch.testing.assert_close(mean_surprise(logits, targets[asked]), loss, **CLOSE)


def test_the_head_shares_its_matrix_with_the_embedding():
    model = BertForPretraining(Bert(**SIZES))
    shapes = [tuple(one.shape) for one in model.parameters()]
    assert shapes.count((30, 8)) == 1


def test_it_learns_what_stands_beside():
    """Pairs of equal tokens: what is hidden stands beside, before it or behind it."""
    model = BertForPretraining(Bert(**SIZES | {"num_channels": 32}))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(250):
        tokens = torch.randint(5, 30, (64, 4)).repeat_interleave(2, dim=1)
        inputs, targets = masked(tokens, 30, 0.2)
        loss = mean_surprise(model(inputs, targets), targets[targets != NOT_ASKED])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.5 * math.log(25)


def test_the_mean_leaves_the_padding_out():
    hidden, tokens = torch.randn(2, 4, 3), some_tokens([4, 2])
    mean = mean_over_tokens(hidden, (tokens != PAD)[:, None, None, :])
    torch.testing.assert_close(mean, torch.stack([hidden[0].mean(0), hidden[1, :2].mean(0)]))


def test_a_classifier_says_the_same_however_a_text_is_filled_up():
    model = BertClassifier(Bert(**SIZES), 3).eval()
    tokens = some_tokens([4])
    longer = torch.cat([tokens, torch.full((1, 5), PAD)], dim=1)
    torch.testing.assert_close(model(longer), model(tokens), **CLOSE)
    assert model(tokens).shape == (1, 3)


TEXTS = ["The film is good.", "The films are good, the acting is not!", "Acting is filming?"] * 20


@pytest.fixture(scope="module")
def tokenizer():
    return word_pieces.train_tokenizer(TEXTS, 60)


def test_the_library_cuts_words_as_we_do(tokenizer):
    pieces = set(word_pieces.pieces_of(tokenizer))
    for word in ("film", "films", "filming", "good", "gods", "zebra", "acting", "thefilm"):
        assert tokenizer.encode(word).tokens[1:-1] == word_pieces.split_word(word, pieces)


def test_special_tokens_come_first_and_are_read_in_a_text(tokenizer):
    assert tuple(word_pieces.pieces_of(tokenizer)[:5]) == SPECIAL_TOKENS
    (tokens,) = word_pieces.encode(tokenizer, ["a [MASK] film"], 20)
    assert (tokens[0], tokens[-1]) == (CLS, SEP) and tokens.count(MASK) == 1


def test_a_tokenizer_is_known_by_its_pieces(tokenizer):
    again = word_pieces.tokenizer_of(word_pieces.pieces_of(tokenizer))
    for text in (*TEXTS[:3], "É zebra [MASK]"):
        assert again.encode(text).ids == tokenizer.encode(text).ids


def test_long_texts_are_cut_and_still_end(tokenizer):
    (tokens,) = word_pieces.encode(tokenizer, [TEXTS[1]], 5)
    assert len(tokens) == 5 and (tokens[0], tokens[-1]) == (CLS, SEP)


def test_pieces_are_learned_by_what_meets_more_often_than_by_chance():
    pieces = word_pieces.learn_pieces(Counter({"hug": 10, "pug": 5, "hugs": 5, "bun": 4}), 2)
    assert pieces[:-2] == sorted(["##g", "##n", "##s", "##u", "b", "h", "p"])
    # g and s meet 5 times, 5 / (20 · 5), which is more than any other pair has, such as u and g,
    # 20 / (24 · 20). After that all have 1 / 24, and # comes first in the alphabet.
    assert pieces[-2:] == ["##gs", "##ug"]
    assert word_pieces.learn_pieces(Counter({"a": 3}), 5) == ["a"]


def test_packing_leaves_nothing_out_but_the_end():
    texts = [[CLS, *range(10, 14), SEP], [CLS, *range(20, 28), SEP]]
    rows = word_pieces.packed(texts, 6)
    assert rows == [[CLS, 10, 11, 12, 13, SEP], [CLS, *range(20, 25)]]
    assert word_pieces.packed(texts, 100) == []


def test_padding_fills_up_to_the_longest():
    assert word_pieces.padded([[CLS, SEP], [CLS, 7, SEP]]) == [[CLS, SEP, PAD], [CLS, 7, SEP]]


def test_batches_by_length_hold_each_text_once_within_the_limit():
    lengths = torch.randint(1, 40, (300,)).tolist()
    batches = word_pieces.batches_by_length(lengths, 200)
    assert sorted(place for batch in batches for place in batch) == list(range(300))
    assert all(len(batch) * max(lengths[at] for at in batch) <= 200 for batch in batches)
    filled = sum(len(batch) * max(lengths[at] for at in batch) for batch in batches)
    assert filled < 1.15 * sum(lengths)


def test_a_kept_encoder_is_found_again(tmp_path, tokenizer):
    sizes = SIZES | {"num_symbols": tokenizer.get_vocab_size()}
    model = BertForPretraining(Bert(**sizes)).eval()
    file = tmp_path / "encoder.safetensors"
    pretrained.save(file, model, tokenizer, sizes, {"tokens": 7, "log": [{"loss": 1.5}]})
    again, read, about = pretrained.load(file)
    assert about == {"tokens": 7, "log": [{"loss": 1.5}]} and pretrained.tokens_read(file) == 7
    assert read.encode(TEXTS[1]).ids == tokenizer.encode(TEXTS[1]).ids
    tokens = torch.randint(5, sizes["num_symbols"], (2, 6))
    torch.testing.assert_close(again.encoder(tokens), model.encoder(tokens), atol=5e-3, rtol=0)


def test_names_of_transformers_become_ours():
    layer = "encoder.layer.1."
    theirs = {
        "embeddings.word_embeddings.weight": 0, "embeddings.position_embeddings.weight": 1,
        "embeddings.LayerNorm.bias": 2, "embeddings.position_ids": 3, "pooler.dense.weight": 4,
        f"{layer}attention.self.query.weight": 5, f"{layer}attention.output.dense.bias": 6,
        f"{layer}attention.output.LayerNorm.weight": 7, f"{layer}intermediate.dense.weight": 8,
        f"{layer}output.dense.weight": 9, f"{layer}output.LayerNorm.bias": 10,
    }  # fmt: skip
    ours = pretrained.in_our_words(theirs)
    assert sorted(ours.values()) == [0, 1, 2, 5, 6, 7, 8, 9, 10]
    assert ours.keys() <= Bert(**SIZES).state_dict().keys()


def test_the_encoder_is_the_bert_of_transformers_with_the_same_weights():
    """The whole of it: embedding, segments and padding included, with the small ε of its norms."""
    from transformers import BertConfig, BertModel

    sizes = {"vocab_size": 30, "hidden_size": 8, "intermediate_size": 32, "num_hidden_layers": 2}
    places = {"num_attention_heads": 2, "max_position_embeddings": 12}
    theirs = BertModel(BertConfig(**sizes, **places)).eval()
    for weights in theirs.parameters():
        nn.init.normal_(weights, std=0.3)
    ours = Bert(**SIZES, norm_first=False)
    ours.load_state_dict(pretrained.in_our_words(theirs.state_dict()))
    pretrained.use_small_epsilon(ours)
    lengths = torch.tensor([7, 4])
    tokens, segments = some_tokens(lengths), torch.randint(2, (2, 7))
    real = tokens != PAD
    with torch.no_grad():
        found = ours(tokens, segments, padding_mask(lengths, 7))
        expected = theirs(tokens, real.long(), segments).last_hidden_state
    torch.testing.assert_close(found[real], expected[real], **CLOSE)
    assert (found[real] - ours(tokens, None, padding_mask(lengths, 7))[real]).abs().max() > 0.01


def test_without_its_package_there_is_no_minilm(monkeypatch):
    monkeypatch.setattr(pretrained, "MINILM", "no_such_package")
    assert pretrained.minilm() is None


def test_counted_vectors_are_alike_where_the_neighbours_are():
    """Tokens 5 and 6 stand among 10 to 14, and 7 and 8 among 20 to 24."""
    text = []
    for _ in range(400):
        kind = int(torch.randint(2, (1,)))
        around = (torch.randint(5, (6,)) + (10, 20)[kind]).tolist()
        text += [*around[:3], (5, 7)[kind] + int(torch.randint(2, (1,))), *around[3:]]
    vectors = word_vectors.counted_vectors(torch.tensor(text), 30, 8)
    torch.testing.assert_close(vectors.mean(1), torch.zeros(30), **CLOSE)
    torch.testing.assert_close(vectors.std(1), torch.ones(30), **CLOSE)
    alike = torch.corrcoef(vectors)
    assert min(alike[5, 6], alike[7, 8]) > 0.5 > max(alike[5, 7], alike[6, 8], alike[5, 8]) + 0.3


def test_pairs_are_counted_by_hand():
    counts = word_vectors.near_counts(torch.tensor([0, 1, 2, 2]), 3)
    assert counts.tolist() == [[0, 1, 2], [1, 0, 2], [2, 2, 2]]
    surprises = word_vectors.more_than_by_chance(counts)
    shares = torch.tensor([3.0, 3.0, 6.0]) ** 0.75 / (2 * 3**0.75 + 6**0.75)
    assert surprises[0, 2].item() == pytest.approx(max(math.log(2 / (3 * shares[2])), 0))
    assert surprises[0, 0] == 0


def test_a_model_that_starts_from_counts_knows_how_frequent_tokens_are():
    model = BertForPretraining(Bert(**SIZES))
    shares = torch.rand(30) + 0.1
    start_from_counts(model, torch.randn(30, 8), shares / shares.sum())
    with torch.no_grad():
        model.encoder.embedding.of_token.weight.zero_()
    logits = model(torch.full((1, 4), MASK), torch.full((1, 4), 7))
    torch.testing.assert_close(logits.softmax(1)[0], shares / shares.sum())


def test_every_weight_learns_once_and_the_vectors_of_tokens_slowly():
    model = BertForPretraining(Bert(**SIZES))
    groups = groups_of_weights(model, 0.1)
    held = [id(weights) for group in groups for weights in group["params"]]
    assert sorted(held) == sorted(map(id, model.parameters()))
    slow = [group for group in groups if group["lr"] < 0.1]
    assert [group["params"] for group in slow] == [[model.encoder.embedding.of_token.weight]]


def test_an_empty_copy_has_the_sizes_and_other_weights():
    encoder = Bert(**SIZES)
    copied = pretrained.empty_copy(encoder)
    found, other = copied.state_dict(), encoder.state_dict()
    assert {name: value.shape for name, value in found.items()} == {
        name: value.shape for name, value in other.items()
    }
    assert not torch.equal(found["embedding.of_token.weight"], other["embedding.of_token.weight"])
