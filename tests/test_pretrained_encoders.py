"""The encoders that come with the course say the truth; a stopped run goes on as it was."""

import shutil
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch

from course.datasets.recipes import MOVIE_SENTENCES
from course.datasets.sources import from_sample
from course.models import pretrained

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def tool():
    path = ROOT / "tools" / "pretrain_encoder.py"
    spec = spec_from_file_location("pretrain_encoder", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def small(tool, monkeypatch):
    """The tool with sizes for which seconds are enough."""
    for name, value in {
        "NUM_SYMBOLS": 300, "LENGTH": 16, "BATCH_SIZE": 4, "NUM_CHANNELS": 16, "NUM_HEADS": 2,
        "NUM_LAYERS": 1, "LONGEST": 32, "VALIDATION_REVIEWS": 30, "STEPS_BETWEEN_NOTES": 5,
    }.items():  # fmt: skip
        monkeypatch.setattr(tool, name, value)
    return tool


TEXTS = from_sample(MOVIE_SENTENCES)["x_train"][:300]
MILLION = 1_000_000


def weights(run):
    return torch.cat([value.flatten() for value in run.averaged.values()])


def test_the_encoders_are_small_and_say_how_they_were_made():
    files = pretrained.shipped()
    assert files
    card = (pretrained.FOLDER / "encoders.md").read_text("utf-8")
    read = []
    for file in files:
        assert file.stat().st_size < 4_000_000
        model, tokenizer, about = pretrained.load(file)
        assert about["command"].startswith("python tools/pretrain_encoder.py --tokens ")
        assert tokenizer.get_vocab_size() == model.head.bias.numel()
        row = next(line for line in card.splitlines() if f"`{file.name}`" in line)
        for number in (about["validation"]["loss"], about["validation"]["accuracy"]):
            assert str(number) in row
        read.append(about["tokens"])
    assert read == sorted(set(read)) and read[0] == 0


def test_more_reading_makes_better_guesses():
    losses = [pretrained.load(file)[2]["validation"]["loss"] for file in pretrained.shipped()]
    assert losses == sorted(losses, reverse=True)


def test_a_run_that_was_stopped_comes_to_the_same_weights(small, tmp_path):
    whole = small.Run(TEXTS, 0, tmp_path / "whole", "cpu")
    (tmp_path / "stopped").mkdir()
    shutil.copy(tmp_path / "whole" / "pieces.json", tmp_path / "stopped")
    stopped = small.Run(TEXTS, 0, tmp_path / "stopped", "cpu")
    whole.to(MILLION, most_steps=12)
    stopped.to(MILLION, most_steps=7)
    again = small.Run(TEXTS, 0, tmp_path / "stopped", "cpu")
    again.load()
    assert again.step == 7
    again.to(MILLION, most_steps=12)
    assert torch.equal(weights(again), weights(whole))
    assert [entry["step"] for entry in again.log] == [5, 10]


def test_a_checkpoint_of_another_run_is_refused(small, tmp_path):
    run = small.Run(TEXTS, 0, tmp_path, "cpu")
    run.to(MILLION, most_steps=1)
    with pytest.raises(SystemExit, match="other settings or another text"):
        small.Run(TEXTS, 1, tmp_path, "cpu").load()


def test_what_is_kept_can_be_loaded_and_was_validated_on_other_reviews(small, tmp_path):
    run = small.Run(TEXTS, 0, tmp_path, "cpu")
    run.to(MILLION, most_steps=2)
    _, tokenizer, about = pretrained.load(tmp_path / "encoder_000M.safetensors")
    assert about["tokens"] == 0 and about["validation"]["loss"] > 0
    assert tokenizer.encode("film").ids == run.tokenizer.encode("film").ids
    rows = {tuple(row) for row in run.rows.tolist()}
    assert not any(tuple(row) in rows for row in run.val_rows.tolist())


def test_frequent_tokens_are_hidden_less_often(tool):
    shares = torch.full((1000,), 0.9 / 994)
    shares[:5], shares[5] = 0, 0.1
    rates = tool.masking_rates(shares)
    assert rates[:5].sum() == 0 and rates[5] < rates[6] / 5
    assert (rates * shares).sum().item() == pytest.approx(tool.RATE, rel=0.01)


def test_the_model_is_kept_at_powers_of_four_and_at_the_end(tool):
    assert tool.kept_sizes(10 * MILLION) == [MILLION, 4 * MILLION, 10 * MILLION]
    assert tool.kept_sizes(4 * MILLION) == [MILLION, 4 * MILLION]
