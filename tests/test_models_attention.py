"""The parts of lesson 05: equal to those of torch, masked as asked, ready for later lessons."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from course.exercises.attention.encoder_layer import in_torchs_words
from course.models.attention import (
    Encoder,
    EncoderLayer,
    FeedForward,
    LayerNorm,
    MultiHeadAttention,
    TokenEmbedding,
    attention,
    causal_mask,
    head_weights,
    look_up,
    masked_softmax,
    padding_mask,
    sinusoidal_positions,
)

CLOSE = {"atol": 1e-5, "rtol": 0}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def both_masks(lengths, num_tokens):
    return causal_mask(num_tokens) & padding_mask(torch.tensor(lengths), num_tokens)


def influence(function, x):
    """Which token changes which result: bool [T, T], a row for each result."""
    columns = []
    for place in range(x.shape[1]):
        changed = x.clone()
        changed[:, place] += 1
        columns.append((function(changed) != function(x)).any(dim=2).any(dim=0))
    return torch.stack(columns, dim=1)


def test_a_look_up_is_an_attention_with_one_query():
    query, keys, values = torch.randn(4), torch.randn(5, 4), torch.randn(5, 3)
    expected = attention(query[None] * 2, keys, values)[0]  # times √4, by which it divides
    torch.testing.assert_close(look_up(query, keys, values), expected)


@pytest.mark.parametrize("masked", [False, True])
def test_attention_is_that_of_torch(masked):
    queries, keys, values = (
        torch.randn(2, 3, 4, 5),
        torch.randn(2, 3, 6, 5),
        torch.randn(2, 3, 6, 7),
    )
    mask = padding_mask(torch.tensor([6, 2]), 6) if masked else None
    expected = functional.scaled_dot_product_attention(queries, keys, values, mask)
    torch.testing.assert_close(attention(queries, keys, values, mask), expected, **CLOSE)


def test_what_is_masked_has_no_weight_and_the_others_have_all():
    scores = torch.randn(2, 3, 4, 4) * 10
    mask = both_masks([4, 2], 4)
    weights = masked_softmax(scores, mask)
    assert not weights[~mask.expand_as(weights)].any()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 4))
    torch.testing.assert_close(masked_softmax(scores), torch.softmax(scores, -1))


def test_padding_and_causal_masks():
    assert padding_mask(torch.tensor([1, 3]), 3).tolist() == [
        [[[True, False, False]]],
        [[[True, True, True]]],
    ]
    assert causal_mask(3).tolist() == [[True, False, False], [True, True, False], [True] * 3]


def test_tokens_one_after_the_other_get_the_results_of_all_at_once():
    """As with kept keys and values: the mask of new tokens is the lower part of the whole one."""
    assert torch.equal(causal_mask(2, num_seen=3), causal_mask(5)[3:])
    layer, x = MultiHeadAttention(8, 2), torch.randn(2, 5, 8)
    at_once = layer(x, causal_mask(5))
    later = layer(x[:, 3:], causal_mask(2, num_seen=3), context=x)
    torch.testing.assert_close(later, at_once[:, 3:], **CLOSE)


def test_heads_are_those_of_torch():
    layer = MultiHeadAttention(6, 3)
    theirs = nn.MultiheadAttention(6, 3, batch_first=True)
    inputs = layer.to_queries, layer.to_keys, layer.to_values
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in inputs]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in inputs]))
        theirs.out_proj.weight.copy_(layer.to_output.weight)
        theirs.out_proj.bias.copy_(layer.to_output.bias)
    x = torch.randn(2, 4, 6)
    mask = padding_mask(torch.tensor([4, 2]), 4)
    result, weights = theirs(x, x, x, key_padding_mask=~mask[:, 0, 0], average_attn_weights=False)
    torch.testing.assert_close(layer(x, mask), result, **CLOSE)
    torch.testing.assert_close(head_weights(layer, x, mask), weights, **CLOSE)


def test_heads_look_at_the_context_where_there_is_one():
    layer = MultiHeadAttention(4, 2)
    x, context = torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    assert layer(x, context=context).shape == (2, 3, 4)
    alike = context[:, :1].expand(-1, 5, -1)  # where all that is seen is equal, so is the result
    same = layer(x, context=alike)
    torch.testing.assert_close(same, same[:, :1].expand(-1, 3, -1))


def test_channels_that_the_heads_cannot_share_are_refused():
    with pytest.raises(ValueError, match="10 channels cannot be shared evenly by 4 heads"):
        MultiHeadAttention(10, 4)


def test_positions_are_clocks():
    table = sinusoidal_positions(50, 8)
    assert table.shape == (50, 8) and table.dtype == torch.float32
    assert table[7, 2].item() == pytest.approx(math.sin(7 / 10_000 ** (2 / 8)), abs=1e-6)
    assert table[7, 3].item() == pytest.approx(math.cos(7 / 10_000 ** (2 / 8)), abs=1e-6)
    torch.testing.assert_close((table**2).sum(1), torch.full((50,), 4.0))
    products = table @ table.T  # depend on the distance alone
    for distance in (0, 3, 20):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), **CLOSE)


@pytest.mark.parametrize("learned", [True, False])
def test_an_embedding_adds_a_vector_for_the_token_and_one_for_its_place(learned):
    embedding = TokenEmbedding(7, 4, longest=5, learned=learned)
    tokens = torch.tensor([[1, 2, 1], [6, 6, 6]])
    result = embedding(tokens)
    assert result.shape == (2, 3, 4)
    places = result[1] - embedding.of_token.weight[6]
    torch.testing.assert_close(result[0] - embedding.of_token(tokens[0]), places)
    torch.testing.assert_close(embedding(tokens[:, 2:], num_seen=2), result[:, 2:])
    names = {name for name, _ in embedding.named_parameters()}
    assert names == {"of_token.weight"} | ({"of_place"} if learned else set())
    if not learned:
        torch.testing.assert_close(places, sinusoidal_positions(3, 4))
        assert set(embedding.state_dict()) == {"of_token.weight"}
    with pytest.raises(ValueError, match="reach to place 6, and there are only 5"):
        embedding(tokens, num_seen=3)


def test_layer_norm_is_that_of_torch():
    ours, theirs = LayerNorm(6, eps=0.1), nn.LayerNorm(6, eps=0.1)
    numbers = {"weight": torch.randn(6), "bias": torch.randn(6)}
    ours.load_state_dict(numbers)
    theirs.load_state_dict(numbers)
    x = torch.randn(2, 3, 6) * 3 + 5
    torch.testing.assert_close(ours(x), theirs(x), **CLOSE)


def test_the_feed_forward_can_add_what_is_negative():
    layer, x = FeedForward(4, 9), torch.randn(50, 4)
    hidden = (x @ layer.first.weight.T + layer.first.bias).clamp(min=0)
    torch.testing.assert_close(layer(x), hidden @ layer.second.weight.T + layer.second.bias)
    assert (layer(x) < 0).any()
    assert isinstance(FeedForward(4, 9, nn.GELU).activation, nn.GELU)


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("attend", [attention, functional.scaled_dot_product_attention])
def test_an_encoder_layer_is_that_of_torch(norm_first, activation, attend):
    own = {"relu": nn.ReLU, "gelu": nn.GELU}[activation]
    ours = EncoderLayer(12, 3, 20, norm_first, activation=own, attend=attend)
    for parameter in ours.parameters():
        nn.init.normal_(parameter, std=0.3)
    options = {"dropout": 0.0, "activation": activation, "batch_first": True}
    theirs = nn.TransformerEncoderLayer(12, 3, 20, norm_first=norm_first, **options)
    theirs.load_state_dict(in_torchs_words(ours.state_dict()))
    x = torch.randn(2, 5, 12)
    real = padding_mask(torch.tensor([5, 2]), 5)
    torch.testing.assert_close(ours(x), theirs(x), **CLOSE)
    expected = theirs(x, src_key_padding_mask=~real[:, 0, 0])
    torch.testing.assert_close(ours(x, real), expected, **CLOSE)
    expected = theirs(x, src_mask=~causal_mask(5))
    torch.testing.assert_close(ours(x, causal_mask(5)), expected, **CLOSE)


@pytest.mark.parametrize("norm_first", [True, False])
def test_an_encoder_is_that_of_torch(norm_first):
    ours = Encoder(3, 8, 2, 16, norm_first)
    layer = nn.TransformerEncoderLayer(
        8, 2, 16, dropout=0.0, batch_first=True, norm_first=norm_first
    )
    norm = nn.LayerNorm(8) if norm_first else None
    theirs = nn.TransformerEncoder(layer, 3, norm, enable_nested_tensor=False)
    for one, other in zip(ours.layers, theirs.layers, strict=True):
        other.load_state_dict(in_torchs_words(one.state_dict()))
    x = torch.randn(2, 4, 8)
    torch.testing.assert_close(ours(x), theirs(x), **CLOSE)


@pytest.mark.parametrize("norm_first", [True, False])
def test_nobody_sees_the_future_or_the_padding(norm_first):
    encoder, x = Encoder(2, 8, 4, 16, norm_first), torch.randn(3, 6, 8)
    causal = influence(lambda x: encoder(x, causal_mask(6)), x)
    assert torch.equal(causal, causal_mask(6))
    padded = influence(lambda x: encoder(x, padding_mask(torch.tensor([4, 4, 4]), 6)), x)
    assert padded[:4, :4].all() and not padded[:4, 4:].any()
    assert influence(encoder, x).all()


def test_dropout_acts_in_training_alone_and_on_what_is_added():
    layer, x = EncoderLayer(8, 2, 16, dropout=0.5), torch.randn(2, 3, 8)
    assert not torch.equal(layer(x), layer(x))
    layer.eval()
    assert torch.equal(layer(x), layer(x))
    assert torch.equal(EncoderLayer(8, 2, 16, dropout=1.0)(x), x)


def test_options_of_an_encoder_reach_its_layers():
    options = {"activation": nn.GELU, "attend": functional.scaled_dot_product_attention}
    encoder = Encoder(2, 8, 2, 16, norm_first=False, dropout=0.2, **options)
    for layer in encoder.layers:
        assert isinstance(layer.feed_forward.activation, nn.GELU)
        assert layer.attention.attend is functional.scaled_dot_product_attention
        assert layer.dropout.p == 0.2 and not layer.norm_first
    assert isinstance(encoder.norm, nn.Identity)


def test_slopes_reach_every_weight():
    embedding, encoder = TokenEmbedding(5, 8, longest=6), Encoder(2, 8, 2, 16)
    encoder(embedding(torch.randint(5, (3, 6))), causal_mask(6)).square().sum().backward()
    for name, parameter in [*embedding.named_parameters(), *encoder.named_parameters()]:
        if "to_keys.bias" not in name:  # the same for all keys, so the softmax does not feel it
            assert parameter.grad.abs().sum() > 0, name
