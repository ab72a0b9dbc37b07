"""Every picture leaves with a description, in the size and number that was asked for."""

import base64
import io
import itertools
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from course import hardware, plots


@pytest.fixture
def shown(monkeypatch) -> list[dict]:
    """What was put on the page: pictures, descriptions, and whether a picture was replaced."""
    pages: list[dict] = []

    class Handle:
        def update(self, bundle, raw, metadata):
            note(bundle, metadata, replaces=True)

    def note(bundle, metadata, replaces=False):
        picture = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
        alt = metadata["image/png"]["alt"]
        assert bundle["text/plain"] == alt
        # JupyterLab shows this one, as it drops the description of a PNG.
        image = ElementTree.fromstring(bundle["text/html"])
        assert image.get("alt") == alt
        assert image.get("src") == f"data:image/png;base64,{bundle['image/png']}"
        assert int(image.get("width")) == metadata["image/png"]["width"]
        pages.append({"picture": picture, "alt": alt, "replaces": replaces})

    def display(bundle, raw, metadata, display_id=False):
        assert raw
        note(bundle, metadata)
        return Handle()

    monkeypatch.setattr(plots, "display", display)
    return pages


def ink(picture: Image.Image) -> float:
    return float((255 - np.asarray(picture.convert("L"), dtype=float)).mean())


@pytest.mark.parametrize("alt", ["", "  \n"])
def test_a_picture_without_a_description_is_refused(shown, alt):
    figure, _ = plots.axes("title", "x", "y")
    with pytest.raises(ValueError, match="needs a description"):
        plots.show(figure, alt)
    assert not shown


def test_a_figure_is_shown_with_its_description_and_returns_nothing(shown):
    figure, drawing = plots.axes("title", "x", "y")
    drawing.plot([0, 1], [0, 1])
    assert plots.show(figure, "a rising line") is None
    assert shown[0]["alt"] == "a rising line" and ink(shown[0]["picture"]) > 0


def test_axes_carry_title_and_labels():
    _, drawing = plots.axes("Loss", "step", "nats")
    assert (drawing.get_title(), drawing.get_xlabel(), drawing.get_ylabel()) == (
        "Loss",
        "step",
        "nats",
    )
    _, (left, right) = plots.pair("one", "two", "z")
    assert [d.get_title() for d in (left, right)] == ["one", "two"]
    assert left.get_xlabel() == right.get_xlabel() == "z"


def test_images_describe_themselves_by_title_and_captions(shown):
    pictures = np.zeros((3, 4, 4))
    pictures[:, 1:3, 1:3] = 1
    plots.images(pictures, "Three squares", captions=[7, "a\nb"])
    assert shown[0]["alt"] == "Three squares: 3 pictures (7, a b)"
    dark = ink(shown[0]["picture"])
    plots.images(np.zeros((3, 4, 4)), "Nothing", alt="blank")
    assert shown[1]["alt"] == "blank" and ink(shown[1]["picture"]) < dark


def test_a_description_may_have_any_sign(shown):
    figure, _ = plots.axes("t", "x", "y")
    plots.show(figure, """"a" < b & c > 'd'""")
    assert shown[0]["alt"] == """"a" < b & c > 'd'"""


def test_a_row_is_as_wide_as_its_columns(shown):
    pictures = np.ones((6, 4, 4))
    plots.images(pictures, "t", columns=6)
    plots.images(pictures, "t", columns=3)
    wide, tall = (page["picture"].size for page in shown)
    assert wide[0] > tall[0] and wide[1] < tall[1]


def test_signed_pictures_show_negatives_in_blue_and_positives_in_red(shown):
    values = np.stack([np.full((4, 4), -1.0), np.full((4, 4), 1.0)])
    plots.images(values, "signs", signed=True)
    pixels = np.asarray(shown[0]["picture"].convert("RGB"), dtype=int)
    middle = pixels.shape[1] // 2
    red_less_blue = pixels[..., 0] - pixels[..., 2]
    assert red_less_blue[:, :middle].sum() < 0 < red_less_blue[:, middle:].sum()


def test_a_confusion_matrix_is_described_by_the_lesson(shown):
    counts = np.array([[5, 1], [0, 6]])
    plots.matrix(counts, "Test", ["cat", "dog"], "one cat taken for a dog")
    assert shown[0]["alt"] == "one cat taken for a dog" and ink(shown[0]["picture"]) > 0


@pytest.mark.parametrize(("names", "angle"), [(["0", "1"], 0), (["cat", "Ankle boot"], 45)])
def test_long_names_under_a_confusion_matrix_are_slanted(names, angle, monkeypatch):
    figures = []
    monkeypatch.setattr(plots, "show", lambda figure, alt: figures.append(figure))
    plots.matrix(np.eye(2, dtype=int), "Test", names, "no mistakes")
    labels = figures[0].axes[0].get_xticklabels()
    assert [label.get_text() for label in labels] == names
    assert {label.get_rotation() for label in labels} == {angle}


def test_heatmaps_share_one_scale_and_carry_their_names(shown, monkeypatch):
    figures = []
    monkeypatch.setattr(plots, "show", lambda figure, alt: figures.append((figure, alt)))
    panels = {"first": np.array([[0.0, 0.5, 0.2]]), "second": np.array([[2.0, 1.0, 0.0]])}
    plots.heatmaps(panels, "key", "query", "two rows", x_names=["a=1", "b=2", "a?"], y_names="q")
    (figure, alt) = figures[0]
    first, second = figure.axes[:2]
    assert alt == "two rows" and [first.get_title(), second.get_title()] == list(panels)
    assert first.get_ylabel() == "query" and second.get_xlabel() == "key"
    assert [label.get_text() for label in first.get_xticklabels()] == ["a=1", "b=2", "a?"]
    assert {label.get_rotation() for label in first.get_xticklabels()} == {90}
    assert [label.get_text() for label in second.get_yticklabels()] == ["q"]
    assert {drawing.images[0].get_clim() for drawing in (first, second)} == {(0, 2)}


def test_a_signed_heatmap_goes_from_blue_to_red(shown):
    plots.heatmaps({"all": np.array([[-1.0, 0.0, 0.5]])}, "x", "y", "blue to red", signed=True)
    pixels = np.asarray(shown[0]["picture"].convert("RGB")).astype(int)
    more_red = pixels[..., 0] - pixels[..., 2]
    assert more_red.max() > 60 and more_red.min() < -60 and shown[0]["alt"] == "blue to red"


def test_an_alignment_is_a_table_that_can_be_read_without_colours(monkeypatch):
    bundles = []
    monkeypatch.setattr(plots, "display", lambda bundle, raw: bundles.append(bundle))
    weights = np.array([[0.7, 0.25, 0.05], [0.0, 0.0, 1.0]])
    plots.alignment(weights, ["月", "<"], ["Sep", "&", "[end]"], "where from, in %")
    page = bundles[0]["text/html"]
    table = ElementTree.fromstring(page)
    rows = [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")]
    assert table.find("caption").text == "where from, in %"
    assert rows == [["", "Sep", "&", "[end]"], ["月", "70", "25", ""], ["<", "", "", "100"]]
    assert bundles[0]["text/plain"].split("\n")[1:] == ["月 from Sep (70%)", "< from [end] (100%)"]


def test_live_curves_are_one_picture_that_grows(shown):
    curves = plots.LiveCurves("loss", "accuracy", title="Run")
    for step in range(3):
        curves.add(1 / (step + 1), np.float32(step / 4))
    assert [page["replaces"] for page in shown] == [False, True, True]
    assert shown[-1]["alt"] == "Run after 3 epochs: loss 0.3333, accuracy 0.5"
    assert curves.values == {"loss": [1, 0.5, 1 / 3], "accuracy": [0, 0.25, 0.5]}


def test_live_rows_are_one_picture_that_grows(shown):
    rows = plots.LiveRows("From the same noise")
    for step in (100, 200):
        rows.add(np.full((3, 4, 4), step), f"step {step}")
    assert [page["replaces"] for page in shown] == [False, True]
    assert shown[1]["alt"] == "From the same noise: rows of 3 pictures, step 100, step 200"
    assert shown[1]["picture"].height > shown[0]["picture"].height
    with pytest.raises(ValueError, match=r"8 pixels wide and 4 high, those above it 12 and 4"):
        rows.add(np.zeros((2, 4, 4)), "step 300")


def test_live_rows_show_ink_dark_and_background_white(shown):
    rows = plots.LiveRows("Half")
    rows.add(np.stack([np.zeros((4, 4)), np.full((4, 4), 255)]), "")
    pixels = np.asarray(shown[0]["picture"].convert("L"))
    middle, width = pixels.shape[0] * 2 // 3, pixels.shape[1]
    assert pixels[middle, width // 4] == 255 and pixels[middle, width * 3 // 4] == 0


def test_live_curves_grow_while_keras_trains(shown):
    pytest.importorskip("tensorflow")
    with hardware.quiet_tensorflow():
        import keras
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((4, 2), "float32"), np.zeros((4, 1), "float32")
    curves = plots.LiveCurves("training loss", "validation loss")
    callback = curves.keras_callback("loss", "val_loss")
    history = model.fit(x, y, validation_data=(x, y), epochs=2, verbose=0, callbacks=[callback])
    assert [page["replaces"] for page in shown] == [False, True]
    assert curves.values["training loss"] == history.history["loss"]
    assert curves.values["validation loss"] == history.history["val_loss"]
    typo = curves.keras_callback("loss", "val_accuracy")
    with pytest.raises(
        KeyError, match=r"does not measure \['val_accuracy'\]; it measures \['loss'"
    ):
        model.fit(x, y, verbose=0, callbacks=[typo])


def test_a_spread_has_a_row_for_each_name_and_says_how_far_the_runs_reach(shown):
    runs = {"plain": [0.5, 0.7], "cured": [0.9, 0.8, 0.85], "once": [0.25]}
    plots.spread(runs, "Three ways", "accuracy")
    plots.spread({"plain": [0.5, 0.7]}, "One way", "accuracy")
    assert shown[0]["alt"] == (
        "Three ways, accuracy: plain 0.500 to 0.700, cured 0.800 to 0.900, once 0.250 to 0.250"
    )
    assert shown[0]["picture"].height > shown[1]["picture"].height


def test_a_line_says_how_far_a_loop_is_and_how_long_it_will_take(monkeypatch):
    clock = itertools.count(0.0, 2.0)  # two seconds a round
    monkeypatch.setattr(plots.time, "monotonic", lambda: next(clock))
    line, said = plots.StatusLine(), []
    monkeypatch.setattr(line, "show", said.append)
    for done in (1, 2, 3, 4):
        line.how_far(done, 4)
    assert said == [
        "Round 2 of 4, about 4 s left.",
        "Round 3 of 4, about 2 s left.",
        "4 rounds in 6.0 s.",
    ]


def test_a_quick_loop_is_not_slowed_down_by_its_line(monkeypatch):
    line, said = plots.StatusLine(), []
    monkeypatch.setattr(line, "show", said.append)
    for done in range(1, 1001):
        line.how_far(done, 1000)
    assert len(said) < 10 and said[-1].startswith("1000 rounds in ")


def test_a_line_says_how_far_keras_is_and_how_long_it_will_take(monkeypatch):
    pytest.importorskip("tensorflow")
    clock = itertools.count(0.0, 10.0)
    monkeypatch.setattr(plots.time, "monotonic", lambda: next(clock))
    line, said = plots.StatusLine(), []
    monkeypatch.setattr(line, "show", said.append)
    callback = line.keras_callback()
    callback.set_params({"steps": 4, "epochs": 3})
    callback.on_train_begin(None)
    for epoch in (1, 2):  # as in a run that goes on after an interruption
        callback.on_epoch_begin(epoch, None)
        for batch in range(4):
            callback.on_train_batch_end(batch, None)
    callback.on_train_end(None)
    assert said[0] == "Getting ready." and len(said) == 1 + 7 + 1
    assert said[1] == "Epoch 2 of 3, 50% of it done, about 60 s left."
    assert said[4] == "Epoch 3 of 3, 25% of it done, about 30 s left."
    assert said[-1] == "8 steps in 90.0 s."
