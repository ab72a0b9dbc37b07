"""Fine-tuning: it learns, and is scored rightly; the table of what it gave is a fair one."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch

from course.models import pretrained
from course.models.bert import CLS, SEP, Bert
from course.models.fine_tuning import classifier_like, fine_tune, share_right, shuffled_batches

ROOT = Path(__file__).resolve().parent.parent
SIZES = {"num_symbols": 30, "num_channels": 16, "num_heads": 2, "num_layers": 1, "longest": 12}


@pytest.fixture(scope="module")
def tool():
    path = ROOT / "tools" / "compare_starts.py"
    spec = spec_from_file_location("compare_starts", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def task(num_texts, seed=0):
    """Short texts; the label is 1 where token 7 is among them, and 0 where token 8 is."""
    rng = np.random.default_rng(seed)
    labels, texts = rng.integers(0, 2, num_texts), []
    for label in labels:
        text = [8 - label, *rng.integers(9, 30, rng.integers(0, 9))]
        texts.append([CLS, *rng.permutation(text).tolist(), SEP])
    return texts, labels


def weights(model):
    return torch.cat([value.flatten() for value in model.state_dict().values()])


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(3)
    return Bert(**SIZES)


def test_a_classifier_starts_from_the_encoder_or_from_new_weights(encoder):
    kept, new = classifier_like(encoder, True, 0), classifier_like(encoder, False, 0)
    assert torch.equal(weights(kept.encoder), weights(encoder))
    assert not torch.equal(weights(new.encoder), weights(encoder))
    assert torch.equal(weights(new), weights(classifier_like(encoder, False, 0)))
    assert kept.encoder is not encoder and kept.dropout.p > 0


def test_fine_tuning_learns_and_comes_to_the_same_weights_with_the_same_seed(encoder):
    texts, labels = task(160)
    found = []
    for seed in (1, 1, 2):
        classifier = classifier_like(encoder, True, seed)
        fine_tune(classifier, texts, labels, 1e-2, 20, seed)
        found.append(classifier)
    assert torch.equal(weights(found[0]), weights(found[1]))
    assert not torch.equal(weights(found[0]), weights(found[2]))
    assert share_right(found[0], *task(200, seed=9)) > 0.9
    assert not torch.equal(weights(found[0].encoder), weights(encoder))  # all weights learn


def test_batches_hold_each_text_once_with_little_padding_and_change():
    lengths = np.random.default_rng(0).integers(2, 60, 300).tolist()
    rng = np.random.default_rng(1)
    first, second = shuffled_batches(lengths, rng), shuffled_batches(lengths, rng)
    assert sorted(np.concatenate(first).tolist()) == list(range(300))
    assert max(map(len, first)) <= 32
    filled = sum(len(batch) * max(lengths[place] for place in batch) for batch in first)
    assert filled < 1.5 * sum(lengths)
    assert {frozenset(batch.tolist()) for batch in first}.isdisjoint(
        {frozenset(batch.tolist()) for batch in second}
    )


def test_the_share_of_right_answers_is_counted_by_text(encoder):
    texts, labels = task(50)
    classifier = classifier_like(encoder, True, 0)
    with torch.no_grad():
        classifier.to_classes.weight.zero_()
        classifier.to_classes.bias.copy_(torch.tensor([0.0, 1.0]))
    assert share_right(classifier, texts, labels, most_tokens=40) == pytest.approx(labels.mean())


def test_the_table_was_made_with_the_largest_encoder_and_holds_five_runs_each(tool):
    table = json.loads(pretrained.FINE_TUNED.read_text("utf-8"))
    assert table["encoder"] == pretrained.shipped()[-1].name
    found = [(row["labels"], row["start"]) for row in table["rows"]]
    counts = {count for count, _ in found}
    assert 500 in counts
    assert sorted(found) == sorted((count, start) for count in counts for start in tool.STARTS)
    for row in table["rows"]:
        assert row["rate"] in tool.RATES and row["epochs"] in tool.EPOCHS
        assert len(row["test"]) == len(tool.CHOICES) and min(row["test"]) > 0.5
    assert tool.CHOICE_TO_TUNE not in tool.CHOICES


def test_the_comparison_reads_the_test_sentences_only_with_the_chosen_setting(tool, monkeypatch):
    judged = []

    def accuracy(self, count, start, rate, num_epochs, seed, judged_on):
        judged.append((rate, num_epochs, seed, judged_on))
        return 0.9 if (rate, num_epochs) == (1e-3, 3) else 0.5

    monkeypatch.setattr(tool.Comparison, "accuracy", accuracy)
    comparison = tool.Comparison.__new__(tool.Comparison)
    comparison.val, comparison.test = "validation", "test"
    row = comparison.row(500, "random weights")
    assert (row["rate"], row["epochs"], row["validation"], row["test"]) == (1e-3, 3, 0.9, [0.9] * 5)
    tested = [one for one in judged if one[3] == "test"]
    assert [one[:3] for one in tested] == [(1e-3, 3, seed) for seed in tool.CHOICES]
    assert {one[2] for one in judged if one[3] == "validation"} == {tool.CHOICE_TO_TUNE}


def test_sentences_that_choose_are_none_that_are_learned_from(tool):
    comparison = tool.Comparison(tool.from_sample(tool.MOVIE_SENTENCES), pretrained.shipped()[-1])
    pool, val = comparison.pool[0], comparison.val[0]
    assert (len(pool), len(val)) == (tool.POOL, tool.VALIDATION)
    assert len(comparison.test[0]) == len(comparison.test[1])
    # Texts differ, but for the few that are cut into the same pieces (names with accents, …).
    assert len({tuple(text) for text in pool} & {tuple(text) for text in val}) < 5
