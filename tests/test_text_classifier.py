"""Encoders in the form of transformers, where they come from, and the classifier on top of them."""

import math
import socket
import threading
import time

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import BertConfig, BertModel, Trainer, get_linear_schedule_with_warmup

from course.datasets.recipes import CHINESE_REVIEWS
from course.datasets.sources import from_sample
from course.models import bert, encoders, hub, pretrained, text_classifier
from course.models.text_classifier import TextClassifier, fill_up

BERT = "google-bert/bert-base-uncased"
TEXTS = ["A good film.", "Bad, and far too long for what it has to say about its people.", "film"]


@pytest.fixture(scope="module")
def own():
    """Lesson 07's encoder as it was saved, and in the form of transformers with its tokenizer."""
    model, tokenizer, _ = pretrained.load(pretrained.shipped()[-1])
    form = encoders.in_transformers_form(model.encoder)
    return model.encoder, form, encoders.as_fast_tokenizer(tokenizer)


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """Every look at the network fails the test; the hub's cache is empty."""

    def refuse(*arguments, **named):
        raise AssertionError("The network was asked.")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("COURSE_PROFILE", "cpu")
    return tmp_path / "hub"


def test_in_another_form_the_encoder_computes_the_same(own):
    before, form, tokenizer = own
    batch = fill_up(tokenizer(TEXTS)["input_ids"], tokenizer.pad_token_id)
    real = batch["attention_mask"].bool()
    with torch.no_grad():
        expected = before(batch["input_ids"], mask=real[:, None, None])
        found = form(**batch).last_hidden_state
    torch.testing.assert_close(found[real], expected[real], rtol=0, atol=1e-5)


def test_as_many_tokens_fit_in_as_before(own):
    before, form, _ = own
    longest = before.embedding.of_place.num_embeddings
    tokens = torch.randint(5, 100, (1, longest))
    with torch.no_grad():
        found = form(input_ids=tokens, attention_mask=torch.ones_like(tokens)).last_hidden_state
        torch.testing.assert_close(found, before(tokens), rtol=0, atol=1e-5)


def test_the_tokenizer_cuts_as_before(own):
    before = pretrained.load(pretrained.shipped()[-1])[1]
    assert own[2](TEXTS)["input_ids"] == [before.encode(text).ids for text in TEXTS]


def test_smoke_takes_the_course_s_own_encoder(no_network, monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "smoke")
    encoder, _, words = encoders.find()
    assert encoder.config.hidden_size == 128 and "lesson 07's own" in words


def test_without_the_package_the_course_s_own_encoder_is_taken(no_network, monkeypatch):
    monkeypatch.setattr(pretrained, "MINILM", "no_such_package_as_this")
    assert "lesson 07's own" in encoders.find()[2]


@pytest.mark.skipif(encoders.folder_of_minilm() is None, reason="the extra `weights` is missing")
def test_minilm_is_read_from_its_package_without_a_network(no_network, capfd):
    encoder, tokenizer, words = encoders.find()
    assert "MiniLM" in words
    batch = fill_up(tokenizer(TEXTS)["input_ids"], tokenizer.pad_token_id)
    real = batch["attention_mask"].bool()
    with torch.no_grad():
        found = encoder(**batch).last_hidden_state[real]
        expected = pretrained.minilm()[0](batch["input_ids"], mask=real[:, None, None])[real]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    assert capfd.readouterr() == ("", "")


def test_a_wanted_model_that_cannot_be_fetched_is_replaced_at_once(no_network, monkeypatch, capsys):
    def unreachable(*arguments, **named):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setattr(socket.socket, "connect", unreachable)
    monkeypatch.setattr(pretrained, "MINILM", "no_such_package_as_this")
    started = time.process_time()
    assert "lesson 07's own" in encoders.find(BERT)[2]
    assert time.process_time() - started < 5
    assert "cannot be fetched from the hub now" in capsys.readouterr().out


def test_a_hub_that_keeps_silent_is_not_waited_for(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(hub.constants, "ENDPOINT", address)
        monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(hub, "ANSWER_SECONDS", 0.2)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        said = []
        asking = threading.Thread(target=lambda: said.append(hub.answers()), daemon=True)
        asking.start()
        asking.join(30)
        assert said == [False]


def test_where_the_hub_is_switched_off_it_is_not_asked(no_network, monkeypatch, capsys):
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    assert encoders.folder_from_hub(BERT) is None
    assert "left out" in capsys.readouterr().out


def keep_in_cache(cache, own):
    """A small BERT where the hub's cache would have the wanted one."""
    folder = cache / f"models--{BERT.replace('/', '--')}" / "snapshots" / encoders.REVISIONS[BERT]
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(vocab_size=8192, intermediate_size=16, max_position_embeddings=64, **sizes)
    BertModel(config).save_pretrained(folder)
    own[2].save_pretrained(folder)
    return folder


def test_what_was_fetched_before_is_read_without_a_network(no_network, own):
    keep_in_cache(no_network, own)
    encoder, tokenizer, words = encoders.find(BERT)
    assert encoder.config.hidden_size == 8 and BERT in words
    assert tokenizer(TEXTS)["input_ids"] == own[2](TEXTS)["input_ids"]


def test_half_a_download_does_not_count(no_network, own, monkeypatch):
    (keep_in_cache(no_network, own) / "model.safetensors").unlink()
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    assert encoders.folder_from_hub(BERT) is None


def test_a_model_of_which_no_revision_is_known_is_refused(no_network):
    with pytest.raises(ValueError, match="choose one of these"):
        encoders.find("someone/some-model")


def test_chinese_pieces_start_with_vectors_that_were_counted():
    texts = from_sample(CHINESE_REVIEWS)["x_train"][:60]
    encoder, tokenizer = encoders.counted_pieces(texts, 32, 1, longest=16, num_symbols=1200)
    assert encoders.unknown_share(tokenizer, texts) == 0
    vectors = encoder.embeddings.word_embeddings.weight
    assert vectors.std().item() == pytest.approx(0.05, rel=0.1)
    assert any(len(piece) > 1 for piece in tokenizer.tokenize("".join(texts)))
    assert len(vectors) == len(tokenizer)


def test_unknown_tokens_are_counted(own):
    tokenizer = own[2]
    assert encoders.unknown_share(tokenizer, ["film film ☂ film"]) == 0.25
    assert encoders.unknown_share(tokenizer, [""]) == 0


@pytest.fixture
def model(own):
    torch.manual_seed(0)
    return TextClassifier(own[1], 2).requires_grad_(True).eval()


@pytest.fixture
def batch(own):
    return fill_up(own[2](TEXTS)["input_ids"], bert.PAD)


def test_with_labels_the_output_has_the_loss(model, batch):
    labels = torch.tensor([1, 0, 1])
    output = model(**batch, labels=labels)
    torch.testing.assert_close(output.loss, text_classifier.loss_of(model, batch, labels))
    assert output.logits.shape == (3, 2) and model(**batch).loss is None


@pytest.mark.parametrize(("num_steps", "num_warm_up"), [(20, 4), (7, 0), (5, 4)])
def test_the_schedule_is_that_of_transformers(num_steps, num_warm_up):
    def rates(schedule_for):
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
        schedule, found = schedule_for(optimizer), []
        for _ in range(num_steps + 1):
            found.append(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()
        return found

    ours = rates(
        lambda one: LambdaLR(
            one, lambda step: text_classifier.share_of_rate(step, num_steps, num_warm_up)
            if step <= num_steps else 0.0,
        )
    )  # fmt: skip
    theirs = rates(lambda one: get_linear_schedule_with_warmup(one, num_warm_up, num_steps))
    assert ours == pytest.approx(theirs)


def test_the_same_weights_shrink_as_with_trainer(model):
    shrinking = set(Trainer.get_decay_parameter_names(None, model))
    ours = {id(one) for one in text_classifier.with_decay(model)[0]["params"]}
    assert {name for name, one in model.named_parameters() if id(one) in ours} == shrinking


def test_lora_computes_what_peft_does():
    torch.manual_seed(0)
    layer, x = nn.Linear(6, 4), torch.randn(3, 6)
    ours = text_classifier.LoraLinear(layer, rank=2, alpha=8)
    nn.init.normal_(ours.up)
    settings = LoraConfig(r=2, lora_alpha=8, target_modules=["0"])
    theirs = get_peft_model(nn.Sequential(layer), settings)
    pair = theirs.base_model.model[0]
    with torch.no_grad():
        pair.lora_A["default"].weight.copy_(ours.down)
        pair.lora_B["default"].weight.copy_(ours.up)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.merged()(x), ours(x))


def test_memory_of_a_head_alone_is_three_numbers_for_each_weight_and_little_more(model, batch):
    model.encoder.requires_grad_(False)
    labels = torch.tensor([1, 0, 1])
    head = sum(one.numel() for one in model.to_classes.parameters())
    measured = text_classifier.megabytes_to_train(model, batch, labels) * 1e6
    assert 12 * head <= measured < 12 * head + 20_000


def test_memory_of_a_step_grows_with_the_batch_and_with_what_learns(model, batch):
    labels = torch.tensor([1, 0, 1])
    twice = {name: part.repeat(2, 1) for name, part in batch.items()}
    once = text_classifier.megabytes_to_train(model, batch, labels)
    more = text_classifier.megabytes_to_train(model, twice, labels.repeat(2))
    weights = 12 * encoders.num_weights(model) / 1e6
    assert more - weights == pytest.approx(2 * (once - weights), rel=0.05)


def test_logits_come_in_the_order_of_the_texts(model, own):
    ids = own[2](TEXTS * 3)["input_ids"]
    found = text_classifier.logits_of(model, ids, 0, batch_size=2)
    with torch.no_grad():
        alone = torch.cat([model(**fill_up([one], 0)).logits for one in ids])
    torch.testing.assert_close(found, alone, rtol=0, atol=1e-5)


def test_any_text_gets_an_answer_and_a_note_where_it_is_worth_little(model, own):
    texts = ["", "   ", "good", "☂☂ good", "很 good", "word " * 400]
    answers = text_classifier.predict(model, own[2], texts, ["no", "yes"], longest=32)
    names, probabilities, notes = zip(*answers, strict=True)
    assert names[:2] == ("", "") and set(names[2:]) <= {"no", "yes"}
    assert all(0.5 <= probability <= 1 for probability in probabilities[2:])
    assert notes[0] == notes[1] == "there is nothing to read" and notes[2] == ""
    assert "unknown" in notes[3] and notes[4] == "1 of 2 tokens are unknown"
    assert notes[5] == "only the first 30 of 400 tokens were read"


def test_no_text_gets_no_answer(model, own):
    assert text_classifier.predict(model, own[2], [], ["no", "yes"], longest=32) == []


def test_what_was_saved_answers_as_before(model, own, batch, tmp_path):
    text_classifier.save(tmp_path / "kept", model, own[2], ("no", "yes"), 32)
    again, tokenizer, classes, longest = text_classifier.load(tmp_path / "kept")
    assert classes == ["no", "yes"] and longest == 32 and not again.training
    assert tokenizer(TEXTS)["input_ids"] == own[2](TEXTS)["input_ids"]
    with torch.no_grad():
        difference = (again(**batch).logits - model(**batch).logits).abs().max()
    assert difference < 0.01
    assert not [file for file in (tmp_path / "kept").iterdir() if file.suffix in (".bin", ".pt")]


def test_where_nothing_was_saved_the_message_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="save one there first"):
        text_classifier.load(tmp_path)


def test_a_model_on_its_own_probabilities_is_calibrated():
    torch.manual_seed(0)
    confidences = torch.rand(20_000) / 2 + 0.5
    right = torch.rand(20_000) < confidences
    assert text_classifier.calibration_error(confidences, right) < 0.02
    assert math.isclose(
        text_classifier.calibration_error(confidences, torch.zeros(20_000)).item(),
        0.75,
        abs_tol=0.01,
    )
