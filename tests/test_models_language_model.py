"""The small GPT of lesson 06: equal to torch's layers, causal, the same with and without cache."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from course.exercises.attention.encoder_layer import in_torchs_words
from course.models.attention import causal_mask
from course.models.byte_pairs import NUM_BYTES, WORDS, BytePairs, learn_byte_pairs, merge
from course.models.language_model import (
    GPT,
    Block,
    KeyValueCache,
    generate,
    longest_copy,
    next_token_loss,
    perplexity,
    sampling_weights,
    surprises,
)
from course.models.n_grams import count_followers, n_gram_surprises, smoothed_probability

CLOSE = {"atol": 1e-5, "rtol": 0}
TEXT = "the cat sat on the mat, and the rat sat on the cat: the café was 10 % full.\n" * 3


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def small(**options):
    """A GPT whose weights are large enough that mistakes would show."""
    model = GPT(num_symbols=11, num_channels=8, num_heads=2, num_layers=3, longest=12, **options)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    return model.eval()


def drawn(*shape):
    return torch.randint(11, shape)


def test_a_gpt_is_torchs_encoder_with_a_causal_mask_and_a_tied_head():
    model, tokens = small(), drawn(2, 7)
    layer = nn.TransformerEncoderLayer(
        8, 2, 32, 0.0, functional.gelu, batch_first=True, norm_first=True
    )
    theirs = nn.TransformerEncoder(layer, 3, nn.LayerNorm(8), enable_nested_tensor=False)
    for own, other in zip(model.blocks, theirs.layers, strict=True):
        other.load_state_dict(in_torchs_words(own.state_dict()))
    theirs.norm.load_state_dict(model.norm.state_dict())
    embedding = model.embedding.of_token.weight
    x = embedding[tokens] + model.embedding.of_place[:7]
    expected = theirs(x, mask=nn.Transformer.generate_square_subsequent_mask(7)) @ embedding.T
    torch.testing.assert_close(model(tokens), expected, **CLOSE)


def test_no_token_changes_what_is_said_before_it():
    model, tokens = small(), drawn(1, 9)
    for place in range(9):
        changed = tokens.clone()
        changed[0, place] = (tokens[0, place] + 1) % 11
        differs = ((model(changed) - model(tokens)).abs() > 1e-6).any(dim=2)[0]
        assert not differs[:place].any() and differs[place:].all()


def test_with_caches_the_logits_are_those_of_all_at_once():
    model, tokens = small(), drawn(3, 10)
    caches = [KeyValueCache() for _ in model.blocks]
    parts = [model(part, caches) for part in tokens.split([4, 1, 1, 3, 1], dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), model(tokens), **CLOSE)
    assert [len(cache) for cache in caches] == [10, 10, 10]


def test_a_block_without_a_cache_is_an_encoder_layer():
    block, x = Block(8, 2), torch.randn(2, 5, 8)
    layer = nn.TransformerEncoderLayer(
        8, 2, 32, 0.0, functional.gelu, batch_first=True, norm_first=True
    )
    layer.load_state_dict(in_torchs_words(block.state_dict()))
    expected = layer(x, src_mask=~causal_mask(5))
    torch.testing.assert_close(block(x, causal_mask(5)), expected, **CLOSE)


def test_at_first_every_token_is_about_as_likely():
    model = GPT(500, 64, 4, 4, 32)
    loss = next_token_loss(model, torch.randint(500, (8, 33)))
    assert loss.item() == pytest.approx(math.log(500), abs=0.05)


def test_dropout_acts_in_training_alone():
    model, tokens = small(dropout=0.5), drawn(2, 6)
    assert torch.equal(model(tokens), model(tokens))
    model.train()
    assert not torch.equal(model(tokens), model(tokens))


def test_the_loss_is_that_of_the_next_token():
    model, tokens = small(), drawn(2, 6)
    log_probabilities = torch.log_softmax(model(tokens[:, :-1]), -1)
    chosen = log_probabilities.gather(2, tokens[:, 1:, None])
    torch.testing.assert_close(next_token_loss(model, tokens), -chosen.mean())


def test_slopes_reach_every_weight():
    model = small()
    next_token_loss(model, drawn(4, 13)).backward()
    for name, parameter in model.named_parameters():
        if "to_keys.bias" not in name:  # the same for all keys, so the softmax does not feel it
            assert parameter.grad.abs().sum() > 0, name


def test_perplexity_is_the_number_of_equally_likely_tokens():
    assert perplexity(torch.full((5,), 1 / 7)).item() == pytest.approx(7)
    assert perplexity(torch.tensor([0.5, 0.125])).item() == pytest.approx(4)


@pytest.mark.parametrize("length", [2, 5, 13, 14, 19, 20, 50])
def test_surprises_of_a_long_text_rest_on_at_least_half_a_window(length):
    model, tokens = small(), drawn(length)
    model.train()
    found = surprises(model, tokens, batch_size=3)
    assert found.shape == (length - 1,) and model.training
    model.eval()
    possible = []  # what may be said of each token, with 6 to 12 tokens before it
    for place in range(1, length):
        values = []
        for start in range(max(place - 12, 0), max(place - 6, 0) + 1):
            row = tokens[None, start : place + 1]
            logits = model(row[:, :-1])[:, -1]
            values.append(functional.cross_entropy(logits, row[:, -1]).item())
        possible.append(values)
    for value, values in zip(found.tolist(), possible, strict=True):
        assert min(abs(value - other) for other in values) < 1e-4


def test_the_first_window_of_surprises_is_the_loss():
    model, tokens = small(), drawn(13)
    expected = next_token_loss(model, tokens[None])
    torch.testing.assert_close(surprises(model, tokens).mean(), expected)


def test_sampling_weights():
    logits = torch.tensor([[0.1, 0.6, 0.3]]).log()
    torch.testing.assert_close(sampling_weights(logits), torch.tensor([[0.1, 0.6, 0.3]]))
    kept = sampling_weights(logits, top_p=0.61)
    torch.testing.assert_close(kept, torch.tensor([[0.0, 2 / 3, 1 / 3]]))
    assert sampling_weights(logits, top_p=0.6).tolist() == [[0, 1, 0]]
    assert sampling_weights(logits, top_p=1e-9).tolist() == [[0, 1, 0]]
    cold = sampling_weights(logits, temperature=0.5)
    torch.testing.assert_close(cold, torch.tensor([[0.01, 0.36, 0.09]]) / 0.46)
    large = sampling_weights(torch.randn(4, 1000), top_p=1.0)
    torch.testing.assert_close(large.sum(-1), torch.ones(4))


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 0.8), (1.0, 1e-9)])
def test_a_text_is_the_same_with_the_cache_and_without(temperature, top_p):
    model, prompt = small(), drawn(3, 2)
    texts = []
    for use_cache in (True, False):
        torch.manual_seed(1)
        texts.append(generate(model, prompt, 9, temperature, top_p, use_cache))
    assert torch.equal(*texts) and texts[0].shape == (3, 11)
    assert torch.equal(texts[0][:, :2], prompt)


def test_the_likeliest_tokens_follow_where_nothing_else_is_allowed():
    model, prompt = small(), drawn(1, 3)
    text = generate(model, prompt, 4, top_p=1e-9)
    for end in range(3, 7):
        assert text[0, end] == model(text[:, :end])[0, -1].argmax()


def test_writing_leaves_the_model_as_it_was():
    model = small(dropout=0.5).train()
    text = generate(model, drawn(2, 1), 3)
    assert model.training and not text.requires_grad
    first, second = (generate(model, text[:1], 3, top_p=1e-9) for _ in range(2))
    assert torch.equal(first, second)  # no dropout while it writes


def test_a_text_too_long_for_the_model_is_refused():
    with pytest.raises(ValueError, match="5 tokens and 8 more are too long"):
        generate(small(), drawn(1, 5), 8)
    assert generate(small(), drawn(1, 5), 7).shape == (1, 12)


def test_the_cache_saves_work():
    """Without it, each token is read again for each later one."""
    model, reads = small(), []
    model.blocks[0].register_forward_hook(lambda block, inputs, x: reads.append(x.shape[1]))
    generate(model, drawn(1, 3), 5)
    assert reads == [3, 1, 1, 1, 1]
    reads.clear()
    generate(model, drawn(1, 3), 5, use_cache=False)
    assert reads == [3, 4, 5, 6, 7]


def test_the_longest_copy():
    assert longest_copy("a good plot", "the plot is good") == " good"
    assert longest_copy("xyz", "abc") == longest_copy("", "abc") == ""
    assert longest_copy("abc", "zabcz") == "abc"


def test_n_grams_are_shares_of_counts_without_a_discount():
    followers = count_followers(b"abababac", 2)
    assert followers[b""].total() == 8 and followers[b"a"] == {ord("b"): 3, ord("c"): 1}
    assert smoothed_probability(ord("b"), b"a", followers, 256, 0.0) == 0.75
    assert smoothed_probability(ord("c"), b"ba", followers, 256, 0.0) == pytest.approx(1 / 3)


@pytest.mark.parametrize("context", [b"", b"a", b"ba", b"zz", b"za"])
def test_smoothed_probabilities_add_up_to_1_and_none_is_0(context):
    followers = count_followers(b"abababac", 2)
    values = [smoothed_probability(t, context, followers, 256, 0.8) for t in range(256)]
    assert sum(values) == pytest.approx(1) and min(values) > 0


def test_surprises_of_n_grams_look_at_the_tokens_just_before():
    tokens = tuple(drawn(30).tolist())
    followers = count_followers(tokens, 2)
    for n in (1, 2, 3):
        found = n_gram_surprises(tokens, n, followers, 11, 0.5)
        assert len(found) == 29
        context = tokens[20 - n + 1 : 20]
        expected = smoothed_probability(tokens[20], context, followers, 11, 0.5)
        assert found[19] == pytest.approx(-math.log(expected))


def test_a_pair_is_merged_from_left_to_right():
    assert merge([1, 1, 1, 2], (1, 1), 9) == [9, 1, 2]
    assert merge([1, 2, 1, 2], (1, 2), 9) == [9, 9]
    assert merge([], (1, 2), 9) == []


def test_byte_pairs_begin_with_the_most_frequent_pair():
    assert learn_byte_pairs("aab aab ab", 1).merges == [(ord("a"), ord("b"))]
    assert learn_byte_pairs("ab", 10).pieces[NUM_BYTES:] == [b"ab"]  # then no pair is left


def test_byte_pairs_are_those_of_counting_anew_each_time():
    learned = learn_byte_pairs(TEXT, 40)
    words = [list(word.encode()) for word in WORDS.findall(TEXT)]
    for rank, pair in enumerate(learned.merges):
        counts = {}
        for word in words:
            for found in itertools.pairwise(word):
                counts[found] = counts.get(found, 0) + 1
        assert counts[pair] == max(counts.values())
        words = [merge(word, pair, NUM_BYTES + rank) for word in words]
    assert learned.encode(TEXT) == [token for word in words for token in word]


@pytest.mark.parametrize("text", ["", " ", "the mat", "naïve _x_ 12%", "日本\n\n\tend "])
def test_every_text_comes_back(text):
    pairs = learn_byte_pairs(TEXT, 30)
    tokens = pairs.encode(text)
    assert pairs.decode(tokens) == text and max(tokens, default=0) < len(pairs) == 286
    assert len(tokens) <= len(text.encode())
    assert BytePairs(pairs.merges).encode(text) == tokens


def test_tokens_that_are_no_whole_character_are_shown_as_such():
    pairs = BytePairs([])
    assert pairs.decode(pairs.encode("é")[:1]) == "�"


def test_merges_stay_within_words():
    pairs = learn_byte_pairs("of the of the of the", 50)
    assert b" the" in pairs.pieces
    assert not any(b" " in piece[1:] for piece in pairs.pieces)
