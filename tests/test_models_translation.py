"""The translator of lesson 09: equal to torch's layers, blind to padding, and its searches."""

import itertools
import math

import pytest
import sacrebleu
import torch
from sacrebleu.tokenizers.tokenizer_zh import TokenizerZh
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from torch.nn import functional
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from course.exercises.attention.encoder_layer import in_torchs_words
from course.exercises.translation.decoder_layer import decoder_in_torchs_words
from course.models.attention import causal_mask
from course.models.translation import (
    BEGIN,
    END,
    PAD,
    UNKNOWN,
    DecoderLayer,
    Translator,
    Vocabulary,
    alignment,
    beam_search,
    by_t5,
    greedy,
    grow_beam,
    length_penalty,
    masks,
    n_gram_matches,
    pad,
    translation_loss,
    words,
)

CLOSE = {"atol": 1e-5, "rtol": 0}
SOURCES = [[4, 5, 6, END], [7, 8, 9, 10, 4, END], [5, END]]
TARGETS = [[BEGIN, 4, 5, END], [BEGIN, 6, END], [BEGIN, 7, 8, 4, 5, END]]


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def small(num_layers=2, **options):
    """A translator whose weights are large enough that mistakes would show."""
    model = Translator(11, 9, 8, 2, num_layers, longest=12, **options)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    return model.eval()


def test_a_decoder_layer_is_torchs():
    layer = DecoderLayer(8, 2, 16).eval()
    theirs = nn.TransformerDecoderLayer(8, 2, 16, 0.0, batch_first=True, norm_first=True).eval()
    theirs.load_state_dict(decoder_in_torchs_words(layer.state_dict()))
    x, memory = torch.randn(3, 5, 8), torch.randn(3, 4, 8)
    hidden = torch.tensor([[False] * 4, [False] * 2 + [True] * 2, [False, True, True, True]])
    expected = theirs(x, memory, tgt_mask=~causal_mask(5), memory_key_padding_mask=hidden)
    found = layer(x, memory, causal_mask(5), ~hidden[:, None, None, :])
    torch.testing.assert_close(found, expected, **CLOSE)


def test_a_translator_is_torchs_transformer():
    model, source, target = small(), pad(SOURCES), pad(TARGETS)
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(8, 2, 32, 0.0, batch_first=True, norm_first=True),
        *(2, nn.LayerNorm(8)),
        enable_nested_tensor=False,
    )
    theirs = nn.Transformer(
        *(8, 2, 2, 2, 32, 0.0), batch_first=True, norm_first=True, custom_encoder=encoder
    ).eval()
    for mine, other in zip(model.encoder.layers, theirs.encoder.layers, strict=True):
        other.load_state_dict(in_torchs_words(mine.state_dict()))
    for mine, other in zip(model.layers, theirs.decoder.layers, strict=True):
        other.load_state_dict(decoder_in_torchs_words(mine.state_dict()))
    theirs.encoder.norm, theirs.decoder.norm = model.encoder.norm, model.norm
    with torch.no_grad():
        x = theirs(
            model.source_embedding(source),
            model.target_embedding(target),
            tgt_mask=~causal_mask(target.shape[1]),
            src_key_padding_mask=source == PAD,
            memory_key_padding_mask=source == PAD,
        )
        torch.testing.assert_close(model(source, target), model.head(x), **CLOSE)


def test_padding_changes_nothing():
    model = small()
    together = model(pad(SOURCES), pad(TARGETS))
    for row, source, target in zip(together, SOURCES, TARGETS, strict=True):
        alone = model(torch.tensor([source]), torch.tensor([target]))[0]
        torch.testing.assert_close(row[: len(target)], alone, **CLOSE)


def test_every_source_token_and_no_later_target_token_matters():
    model, source, target = small(), torch.tensor(SOURCES[1:2]), torch.tensor(TARGETS[2:])
    before = model(source, target)
    for place in range(source.shape[1]):
        changed = source.clone()
        changed[0, place] = 5 if changed[0, place] != 5 else 6
        assert ((model(changed, target) - before).abs() > 1e-6).any(dim=2).all()
    for place in range(target.shape[1]):
        changed = target.clone()
        changed[0, place] = 6 if changed[0, place] != 6 else 7
        differs = ((model(source, changed) - before).abs() > 1e-6).any(dim=2)[0]
        assert not differs[:place].any() and differs[place:].all()


def test_the_memory_may_be_kept():
    model, source, target = small(), pad(SOURCES), pad(TARGETS)
    kept = model(source, target, model.encode(source))
    torch.testing.assert_close(kept, model(source, target), **CLOSE)


def test_masks():
    at_source, at_target = masks(pad(SOURCES), pad(TARGETS))
    assert at_source[:, 0, 0].sum(dim=1).tolist() == [4, 6, 2] and at_source.shape == (3, 1, 1, 6)
    assert torch.equal(at_target, causal_mask(6))


def test_the_loss_counts_real_tokens_alone():
    model, source, target = small(), pad(SOURCES), pad(TARGETS)
    surprises = []
    for row, own in zip(model(source, target[:, :-1]).log_softmax(-1), TARGETS, strict=True):
        surprises += [-row[place, token] for place, token in enumerate(own[1:])]
    torch.testing.assert_close(
        translation_loss(model, source, target), torch.stack(surprises).mean()
    )


def test_slopes_reach_every_weight():
    model = small()
    translation_loss(model, pad(SOURCES), pad(TARGETS)).backward()
    for name, parameter in model.named_parameters():
        if "to_keys.bias" not in name:  # the same for all keys, so the softmax does not feel it
            assert parameter.grad.abs().sum() > 0, name


def test_padding_fills_up_behind():
    assert pad([[4], [5, 6, 7], [8, 9]]).tolist() == [[4, 0, 0], [5, 6, 7], [8, 9, 0]]


def test_words_of_a_phrase():
    assert words("Tue, Sep 5, 2023") == ["Tue", ",", "Sep", "5", ",", "2", "0", "2", "3"]
    assert words("1,234.50 US dollars") == [*"1,234.50", "US", "dollars"]


def test_a_vocabulary_gives_texts_back_and_knows_what_it_never_saw():
    vocabulary = Vocabulary(["2023年", "五月"], list)
    for text in ("2023年", "五月", "月年"):
        assert vocabulary.decode(vocabulary.encode(text)) == text
    assert vocabulary.encode("三")[0] == UNKNOWN and vocabulary.encode("")[0] == END
    tokens = [BEGIN, *vocabulary.encode("五"), *vocabulary.encode("月")]
    assert vocabulary.decode(tokens) == "五"  # up to the first END
    assert len(vocabulary) == 4 + len(set("2023年五月"))


def by_steps(model, source, longest):
    """Greedy for one phrase, the source read anew each time."""
    said = [BEGIN]
    while len(said) <= longest and END not in said:
        said.append(int(model(source, torch.tensor([said]))[0, -1].argmax()))
    return said[1:]


def test_greedy_translates_a_batch_as_each_phrase_alone():
    model = small()
    for longest in (1, 4, 9):
        together = greedy(model, pad(SOURCES), longest).tolist()
        for row, source in zip(together, SOURCES, strict=True):
            alone = by_steps(model, torch.tensor([source]), longest)
            assert row[: len(alone)] == alone and len(row) <= longest


def log_probability(model, source, tokens):
    target = torch.tensor([[BEGIN, *tokens]])
    logs = model(source, target[:, :-1])[0].log_softmax(-1)
    return sum(logs[place, token].item() for place, token in enumerate(tokens))


def test_a_beam_of_one_is_greedy():
    model = small()
    for source in SOURCES:
        source = torch.tensor([source])
        [(score, tokens)] = beam_search(model, source, width=1, alpha=0.0, longest=8)
        assert tokens == by_steps(model, source, 8)
        assert score == pytest.approx(log_probability(model, source, tokens), abs=1e-4)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0])
def test_a_wide_beam_finds_the_best_of_all_translations(alpha):
    """Against every text of up to three tokens."""
    model, source = small(1), torch.tensor(SOURCES[:1])
    every = []
    for length in (0, 1, 2):
        for said in itertools.product([token for token in range(9) if token != END], repeat=length):
            every.append([*said, END])
    every += [list(said) for said in itertools.product(range(9), repeat=3) if END not in said]
    graded = {
        tuple(tokens): log_probability(model, source, tokens) / length_penalty(len(tokens), alpha)
        for tokens in every
    }
    found = beam_search(model, source, width=1000, alpha=alpha, longest=3)
    assert len(found) == len(every)
    best, tokens = found[0]
    assert tuple(tokens) == max(graded, key=graded.get)
    assert best == pytest.approx(max(graded.values()), abs=1e-4)
    assert [score for score, _ in found] == sorted((s for s, _ in found), reverse=True)


def test_grow_beam_takes_the_best_of_all_hypotheses():
    scores = torch.tensor([-1.0, -1.1])
    logs = torch.tensor([[0.1, 0.2, 0.7], [0.5, 0.4, 0.1]]).log()
    values, origins, tokens = grow_beam(scores, logs, 3)
    assert origins.tolist() == [0, 1, 1] and tokens.tolist() == [2, 0, 1]
    torch.testing.assert_close(values, scores[origins] + logs[origins, tokens])


def test_the_length_penalty():
    assert length_penalty(1, 0.6) == length_penalty(17, 0.0) == 1
    assert length_penalty(7, 1.0) == 2


def test_an_alignment_is_the_weights_that_attention_uses():
    model, source, target = small(), pad(SOURCES), pad(TARGETS)
    usual = model.layers[-1].cross_attention.attend
    weights = alignment(model, source, target)
    assert weights.shape == (3, 6, 6) and model.layers[-1].cross_attention.attend is usual
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(3, 6), **CLOSE)
    assert not weights[(source == PAD)[:, None].expand(3, 6, 6)].any()
    memory = model.encode(source)
    x = model.target_embedding(target)
    at_source, at_target = masks(source, target)
    x = model.layers[0](x, memory, at_target, at_source)
    layer = model.layers[1]
    x = x + layer.self_attention(layer.norm_1(x), at_target)
    theirs = nn.MultiheadAttention(8, 2, batch_first=True)
    state = decoder_in_torchs_words(layer.state_dict())
    own = "multihead_attn."
    theirs.load_state_dict(
        {name.removeprefix(own): value for name, value in state.items() if name.startswith(own)}
    )
    _, expected = theirs(layer.norm_2(x), memory, memory, key_padding_mask=source == PAD)
    torch.testing.assert_close(weights, expected, **CLOSE)


def test_bleu_from_n_gram_matches_is_sacrebleus():
    cut = TokenizerZh()
    hypotheses = ["2023年9月5日星期二", "453万", "12.50欧元", "2024年1月1日"]
    references = ["2023年9月6日星期三", "453万", "12.55欧元", "2024年11月1日"]
    pairs = [(cut(a).split(), cut(b).split()) for a, b in zip(hypotheses, references, strict=True)]
    logs = 0.0
    for n in (1, 2, 3, 4):
        counts = [n_gram_matches(a, b, n) for a, b in pairs]
        logs += math.log(sum(m for m, _ in counts) / sum(total for _, total in counts)) / 4
    ours, theirs = (sum(len(pair[side]) for pair in pairs) for side in (0, 1))
    by_hand = 100 * min(1, math.exp(1 - theirs / ours)) * math.exp(logs)
    expected = sacrebleu.corpus_bleu(hypotheses, [references], tokenize="zh").score
    assert by_hand == pytest.approx(expected, abs=1e-4)


def test_dropout_acts_in_training_alone():
    model, source, target = small(dropout=0.5), pad(SOURCES), pad(TARGETS)
    assert torch.equal(model(source, target), model(source, target))
    model.train()
    assert not torch.equal(model(source, target), model(source, target))


def test_a_translator_learns_to_turn_a_sequence_round():
    """What neither a copy nor a guess can do: the decoder has to look at the source."""
    drawn = torch.randint(4, 9, (64, 4))
    source = functional.pad(drawn, (0, 1), value=END)
    target = functional.pad(functional.pad(drawn.flip(1), (1, 0), value=BEGIN), (0, 1), value=END)
    model = Translator(9, 9, 32, 4, 1, longest=12)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(150):
        loss = translation_loss(model, source, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    right = (greedy(model.eval(), source, 6)[:, :4] == drawn.flip(1)).all(dim=1)
    assert right.float().mean() > 0.9


def test_t5_is_asked_for_each_sentence_in_the_language_that_is_named(tmp_path, monkeypatch):
    """With a small T5 of random weights whose tokenizer knows a few words."""
    question = ["translate", "English", "to", "German", ":"]
    known = ["<pad>", "</s>", "<unk>", *question, "good", "night"]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(known)}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(tmp_path)
    sizes = {"d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    config = T5Config(vocab_size=len(known), decoder_start_token_id=0, **sizes)
    T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    asked = []

    def answer(model, input_ids, **options):
        asked.extend(input_ids.tolist())
        return input_ids[:, -2:]

    monkeypatch.setattr(T5ForConditionalGeneration, "generate", answer)
    assert by_t5(tmp_path, ["good night", "night"], "German") == ["good night", "night"]
    numbers = [known.index(word) for word in question]
    assert [row[:5] for row in asked] == [numbers, numbers]
    monkeypatch.undo()
    assert len(by_t5(tmp_path, ["good night", "night"], "German")) == 2
