"""The frozen classifier: its file says the truth, both frameworks read it alike, it can be remade.

Each framework runs in a process of its own, as in a lesson; arrays go between them in files.
"""

import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from course.datasets.recipes import MNIST
from course.datasets.sources import from_sample
from course.models import digit_classifier

ROOT = Path(__file__).resolve().parent.parent
LOOK = """
import sys
import numpy as np
if sys.argv[1] == "torch":
    from course.models import digit_classifier as classifier
else:
    from course import hardware
    with hardware.quiet_tensorflow():
        from course.models import digit_classifier_tensorflow as classifier
images, out = np.load(sys.argv[2])["images"], {}
for name, some in (("bytes", images.astype("uint8")), ("floats", images)):
    found = classifier.features_and_logits(classifier.load(), some, batch_size=70)
    out |= {f"{name} {kind}": array for kind, array in zip(("features", "logits"), found)}
assert len({"torch", "tensorflow"} & set(sys.modules)) == 1
np.savez(sys.argv[3], **out)
"""


@pytest.fixture(scope="module")
def header() -> dict[str, str]:
    with safe_open(digit_classifier.WEIGHTS, "np") as file:
        return file.metadata()


@pytest.fixture(scope="module")
def tool():
    path = ROOT / "tools" / "train_digit_classifier.py"
    spec = spec_from_file_location("train_digit_classifier", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[str, dict[str, np.ndarray]]:
    """What each framework makes of real images, and of noise."""
    folder = tmp_path_factory.mktemp("classifier")
    noise = np.random.default_rng(0).uniform(0, 255, (50, 28, 28))
    images = np.concatenate([from_sample(MNIST)["x_test"][:100], noise]).astype("float32")
    np.savez(folder / "images.npz", images=images)
    results = {}
    for name in ("torch", "keras"):
        out = folder / f"{name}.npz"
        command = [sys.executable, "-c", LOOK, name, folder / "images.npz", out]
        answer = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300)
        assert (answer.returncode, answer.stderr) == (0, "")
        results[name] = dict(np.load(out))
    return results


@pytest.mark.parametrize("kind", ["features", "logits"])
@pytest.mark.parametrize("images", ["bytes", "floats"])
def test_both_frameworks_make_the_same_of_an_image(found, images, kind):
    torch_found, keras_found = (found[name][f"{images} {kind}"] for name in ("torch", "keras"))
    assert torch_found.shape == (150, 64 if kind == "features" else 10)
    assert torch_found.dtype == keras_found.dtype == np.float32
    assert np.std(torch_found[:100]) > 0.1  # else equal says little
    np.testing.assert_allclose(keras_found, torch_found, rtol=0, atol=1e-4)


def test_the_header_says_how_it_was_made_and_how_good_it_is(header, tool):
    assert header["command"].startswith("python tools/train_digit_classifier.py --seed ")
    assert {"seed", "best_epoch", *tool.VERSIONS} <= set(header)
    model = digit_classifier.load()
    for name, value in tool.accuracies(model, from_sample(MNIST)).items():
        assert float(header[name]) == pytest.approx(float(value), abs=0.001)
        assert float(header[name]) > 0.975
    card = digit_classifier.WEIGHTS.with_suffix(".md").read_text("utf-8")
    for name in ("command", "test_accuracy", "unseen_accuracy"):
        assert header[name] in card


def test_it_is_small_and_frozen():
    assert digit_classifier.WEIGHTS.stat().st_size < 200_000
    model = digit_classifier.load()
    assert not model.training and not any(one.requires_grad for one in model.parameters())


def test_what_is_kept_for_the_lessons_never_reaches_the_training(tool, monkeypatch):
    digits = from_sample(MNIST)
    seen = []
    monkeypatch.setattr(tool, "fit", lambda model, *sets, **options: seen.extend(sets))
    tool.train(digits, seed=0, num_epochs=1)
    shown = {image.numpy().tobytes() for images, _ in seen for image in images}
    kept = [*digits["x_train"][-2000:], *digits["x_test"]]
    assert len(shown) == 6000 and not any(image.tobytes() in shown for image in kept)


def test_the_same_seed_makes_the_same_weights_and_another_one_others(tool):
    digits = from_sample(MNIST)
    few = {name: array[-3200:] for name, array in digits.items()}  # 200 to learn from

    def weights(seed):
        model, epoch = tool.train(few, seed=seed, num_epochs=1)
        assert epoch == 1
        return torch.cat([one.flatten() for one in model.state_dict().values()])

    assert torch.equal(weights(1), weights(1)) and not torch.equal(weights(1), weights(2))
