"""Pictures with titles, axis labels and alternative text, in colours that most eyes can tell apart.

Every picture leaves through `show`, which needs a description for people who cannot see it.
"""

import base64
import html
import io
import time
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from IPython.display import display
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Okabe and Ito (2008), "Color universal design": distinct for most kinds of colour blindness.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
PIXELS_PER_INCH = 144
WIDEST = 760  # pixels on the page
SECONDS_BETWEEN_NOTES = 0.5


def show(figure: Figure, alt: str) -> None:
    """Put a finished figure on the page; `alt` says in words what it shows.

    Raises:
        ValueError: `alt` is empty.
    """
    bundle, metadata = _picture(figure, alt)
    display(bundle, raw=True, metadata=metadata)


def _picture(figure: Figure, alt: str) -> tuple[dict[str, str], dict[str, dict]]:
    """The figure as a display bundle, and the metadata in which notebooks keep its description.

    JupyterLab reads the description of a PNG to nobody, hence the picture in HTML beside it.
    """
    if not alt.strip():
        raise ValueError("A picture needs a description: give show(figure, alt) some text.")
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=PIXELS_PER_INCH, bbox_inches="tight", facecolor="white")
    width = min(WIDEST, int(figure.get_figwidth() * 90))
    png = base64.b64encode(file.getvalue()).decode()
    image = f'<img src="data:image/png;base64,{png}" width="{width}" alt="{html.escape(alt)}"/>'
    bundle = {"text/html": image, "image/png": png, "text/plain": alt}
    return bundle, {"image/png": {"alt": alt, "width": width}}


def axes(
    title: str, x_label: str, y_label: str, width: float = 6, height: float = 3.2
) -> tuple[Figure, Any]:
    """A figure with one pair of labelled axes, ready to draw on. Sizes in inches."""
    figure = Figure(figsize=(width, height))
    drawing = figure.add_subplot()
    _dress(drawing, title, x_label, y_label)
    return figure, drawing


def pair(
    left_title: str, right_title: str, x_label: str, width: float = 7.5, height: float = 2.8
) -> tuple[Figure, tuple[Any, Any]]:
    """A figure with two pairs of axes side by side that share the horizontal label."""
    figure = Figure(figsize=(width, height), layout="constrained")
    drawings = tuple(figure.subplots(1, 2))
    for drawing, title in zip(drawings, (left_title, right_title), strict=True):
        _dress(drawing, title, x_label, "")
    return figure, drawings


def _dress(drawing: Any, title: str, x_label: str, y_label: str) -> None:
    drawing.set(title=title, xlabel=x_label, ylabel=y_label)
    drawing.set_prop_cycle(color=COLOURS)
    drawing.spines[["top", "right"]].set_visible(False)
    drawing.grid(alpha=0.3)


def images(
    pictures: np.ndarray,
    title: str,
    captions: Sequence[object] = (),
    columns: int = 10,
    alt: str = "",
    signed: bool = False,
) -> None:
    """Show pictures [n, height, width] in a grid, row by row, each under its caption.

    alt: a description; the title and the captions unless given. signed: values have a sign that
    matters; blue is negative, red is positive.
    """
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    caption_lines = max((str(caption).count("\n") + 1 for caption in captions), default=0)
    figure = Figure(figsize=(0.85 * columns, (0.85 + 0.2 * caption_lines) * rows + 0.35))
    figure.suptitle(title, fontsize=11)
    limit = float(np.abs(pictures).max()) or 1.0
    for place, picture in enumerate(pictures):
        drawing = figure.add_subplot(rows, columns, place + 1)
        drawing.axis("off")
        if signed:
            drawing.imshow(picture, cmap="RdBu_r", vmin=-limit, vmax=limit)
        else:
            drawing.imshow(picture, cmap="gray_r")
        if place < len(captions):
            drawing.set_title(str(captions[place]), fontsize=8, pad=2)
    figure.tight_layout(pad=0.4, w_pad=0.6)
    words = ", ".join(str(caption).replace("\n", " ") for caption in captions)
    show(figure, alt or f"{title}: {len(pictures)} pictures" + (f" ({words})" if words else ""))


def spread(values: Mapping[str, Sequence[float]], title: str, x_label: str) -> None:
    """Show what repeated runs gave: for each name a row, each value a dot, a bar at their mean."""
    figure, drawing = axes(title, x_label, "", height=0.36 * len(values) + 0.9)
    for row, runs in enumerate(values.values()):
        drawing.plot(runs, [row] * len(runs), "o", color=COLOURS[0], alpha=0.5)
        drawing.plot([np.mean(runs)] * 2, [row - 0.3, row + 0.3], color=COLOURS[1], linewidth=2.5)
    drawing.set_yticks(range(len(values)), values)
    drawing.invert_yaxis()  # the first name on top
    words = (f"{name} {np.min(runs):.3f} to {np.max(runs):.3f}" for name, runs in values.items())
    show(figure, f"{title}, {x_label}: {', '.join(words)}")


def matrix(counts: np.ndarray, title: str, names: Sequence[str], alt: str) -> None:
    """Show a confusion matrix [K, K]: rows are the true classes, columns what the model said."""
    figure = Figure(figsize=(4.6, 4.4))
    drawing = figure.add_subplot()
    off_diagonal = counts - np.diag(np.diag(counts))
    drawing.imshow(off_diagonal, cmap="Oranges")
    for row, column in np.ndindex(counts.shape):
        dark = off_diagonal[row, column] > off_diagonal.max() / 2
        colour = "white" if dark else "#999999" if row == column else "black"
        text = str(counts[row, column]) if counts[row, column] else ""
        drawing.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    drawing.set(title=title, xlabel="what the model said", ylabel="the true class")
    slanted = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    long = max(map(len, names)) > 2  # then neighbours would overlap
    drawing.set_xticks(range(len(names)), names, **(slanted if long else {}))
    drawing.set_yticks(range(len(names)), names)
    show(figure, alt)


def heatmaps(
    panels: Mapping[str, np.ndarray],
    x_label: str,
    y_label: str,
    alt: str,
    x_names: Sequence[object] = (),
    y_names: Sequence[object] = (),
    signed: bool = False,
) -> None:
    """Show tables of numbers [rows, columns] side by side as colours, each under its name.

    The panels share one scale, which a bar explains. x_names, y_names: what stands at each column
    and row; numbers unless given. signed: values have a sign; blue is negative, red is positive.
    """
    rows, columns = next(iter(panels.values())).shape
    cell = min(0.28, 3.4 / max(rows, columns), 6.4 / (columns * len(panels)))  # inches
    width, height = cell * columns * len(panels) + 1.6, max(cell * rows, 0.5) + 1.3
    figure = Figure(figsize=(width + 0.5 * len(panels), height), layout="constrained")
    drawings = figure.subplots(1, len(panels), squeeze=False)[0]
    limit = max(float(np.abs(values).max()) for values in panels.values()) or 1.0
    colours = {"cmap": "RdBu_r", "vmin": -limit} if signed else {"cmap": "Blues", "vmin": 0}
    for drawing, (name, values) in zip(drawings, panels.items(), strict=True):
        picture = drawing.imshow(values, vmax=limit, aspect="auto", **colours)
        drawing.set(title=name, xlabel=x_label)
        for axis, names in ((drawing.xaxis, x_names), (drawing.yaxis, y_names)):
            if len(names):
                axis.set_ticks(range(len(names)), names, fontsize=8)
            else:
                axis.set_major_locator(MaxNLocator(integer=True))
        if any(len(str(name)) > 2 for name in x_names):
            drawing.tick_params("x", rotation=90)
    drawings[0].set_ylabel(y_label)
    figure.colorbar(picture, ax=list(drawings))
    show(figure, alt)


def alignment(weights: np.ndarray, said: Sequence[str], read: Sequence[str], title: str) -> None:
    """Show where each token that was said came from: weights [T, S], each row with the sum 1.

    A table and no picture: a browser has the letters of every script, Matplotlib has not. What is
    10 % or more stands there as a number, so that nothing depends on the colour.
    """
    header = "".join(f'<th scope="col">{escape(token)}</th>' for token in read)
    rows, lines = [], [title]
    for token, row in zip(said, weights, strict=True):
        cells = "".join(_weight_cell(float(weight)) for weight in row)
        rows.append(f'<tr><th scope="row">{escape(token)}</th>{cells}</tr>')
        best = int(row.argmax())
        lines.append(f"{token} from {read[best]} ({row[best]:.0%})")
    table = f"<tr><td></td>{header}</tr>{''.join(rows)}"
    bundle = {
        "text/html": f"<table><caption>{escape(title)}</caption>{table}</table>",
        "text/plain": "\n".join(lines),
    }
    display(bundle, raw=True)


def _weight_cell(weight: float) -> str:
    text = f"{100 * weight:.0f}" if weight >= 0.095 else ""
    ink = "white" if weight > 0.6 else "black"
    style = f"background:rgba(0,90,160,{weight:.2f});color:{ink};text-align:center"
    return f'<td style="{style}">{text}</td>'


class LiveCurves:
    """Curves that grow while a model trains: one panel for each name, one updating picture.

    With Keras: `model.fit(…, callbacks=[curves.keras_callback("loss", "val_accuracy")])`.
    """

    def __init__(self, *names: str, title: str = "", x_label: str = "epoch") -> None:
        self.names, self.title, self.x_label = names, title, x_label
        self.values: dict[str, list[float]] = {name: [] for name in names}
        self._handle: Any = None

    def add(self, *values: float) -> None:
        """Add one value for each name, and draw."""
        for name, value in zip(self.names, values, strict=True):
            self.values[name].append(float(value))
        figure = Figure(figsize=(3.6 * len(self.names), 2.8))
        for place, name in enumerate(self.names):
            drawing = figure.add_subplot(1, len(self.names), place + 1)
            steps = range(1, len(self.values[name]) + 1)
            drawing.plot(steps, self.values[name], "o-", color=COLOURS[place], markersize=3)
            _dress(drawing, name, self.x_label, "")
            drawing.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.suptitle(self.title, fontsize=11)
        figure.tight_layout()
        latest = ", ".join(f"{name} {self.values[name][-1]:.4g}" for name in self.names)
        count = len(self.values[self.names[0]])
        alt = f"{self.title or 'Curves'} after {count} {self.x_label}s: {latest}"
        self._handle = _show_in_place(self._handle, figure, alt)

    def keras_callback(self, *logs: str) -> Any:
        """A callback for Keras' `fit` that calls `add` after every epoch.

        logs: what Keras calls the value for each panel, such as "loss" and "val_accuracy".

        Raises:
            KeyError: during `fit`, it measures nothing of such a name; the message has its names.
        """
        import keras

        def add(_: int, measured: dict[str, float]) -> None:
            if missing := [name for name in logs if name not in measured]:
                raise KeyError(f"fit does not measure {missing}; it measures {list(measured)}.")
            self.add(*(measured[name] for name in logs))

        return keras.callbacks.LambdaCallback(on_epoch_end=add)


class LiveRows:
    """Rows of pictures that grow while a model trains: a row for each moment, one updating picture.

    With the same noise each time, a column shows one drawing as it takes shape.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.rows: list[np.ndarray] = []
        self.captions: list[str] = []
        self._handle: Any = None

    def add(self, pictures: np.ndarray, caption: object) -> None:
        """Add a row of pictures [n, height, width], 0 (background) to 255, and draw.

        Raises:
            ValueError: the row does not have the size of those above it.
        """
        row = np.concatenate(list(pictures), axis=1)
        if self.rows and row.shape != self.rows[0].shape:
            raise ValueError(
                f"This row is {row.shape[1]} pixels wide and {row.shape[0]} high, those above it "
                f"{self.rows[0].shape[1]} and {self.rows[0].shape[0]}: give each time as many "
                "pictures, of the same size."
            )
        self.rows.append(row)
        self.captions.append(str(caption))
        every = np.concatenate(self.rows)
        figure = Figure(figsize=(7.5, 6.5 * every.shape[0] / every.shape[1] + 0.4))
        drawing = figure.add_subplot()
        drawing.imshow(every, cmap="gray_r", vmin=0, vmax=255)
        drawing.set_yticks((np.arange(len(self.rows)) + 0.5) * len(row), self.captions, fontsize=8)
        drawing.set_xticks([])
        drawing.tick_params(length=0)
        drawing.spines[:].set_visible(False)
        drawing.set_title(self.title, fontsize=11)
        alt = f"{self.title}: rows of {len(pictures)} pictures, {', '.join(self.captions)}"
        self._handle = _show_in_place(self._handle, figure, alt)


def _show_in_place(handle: Any, figure: Figure, alt: str) -> Any:
    """Show the figure in the place of the one that `handle` stands for (None: a new place)."""
    bundle, metadata = _picture(figure, alt)
    if handle is None:
        return display(bundle, raw=True, metadata=metadata, display_id=True)
    handle.update(bundle, raw=True, metadata=metadata)
    return handle


def duration(seconds: float) -> str:
    """A time for people, such as "42 s" or "3 min"."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


class StatusLine:
    """A line of text on the page that is replaced each time; the last one stays.

    With Keras: `model.fit(…, callbacks=[plots.StatusLine().keras_callback()])`.
    """

    def __init__(self) -> None:
        self._handle: Any = None
        self._first = 0  # the round after which `how_far` was first called, and when
        self._begun = self._noted = 0.0

    def show(self, sentence: str) -> None:
        """Put `sentence` in the place of the one before."""
        bundle = {"text/plain": sentence, "text/html": f"<small>{escape(sentence)}</small>"}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)

    def how_far(self, done: int, total: int) -> None:
        """Say how far a loop is, after `done` of `total` rounds, and how long it will still take.

        To be called after every round; most calls do nothing, so that they cost nothing.
        """
        now = time.monotonic()
        if not 0 < self._first < done:
            self._first, self._begun, self._noted = done, now, now
        if done == total:
            self.show(f"{total} rounds in {now - self._begun:.1f} s.")
        elif now - self._noted > SECONDS_BETWEEN_NOTES:
            self._noted = now
            per_round = (now - self._begun) / (done - self._first)
            left = duration(per_round * (total - done))
            self.show(f"Round {done} of {total}, about {left} left.")

    def keras_callback(self) -> Any:
        """A callback for Keras' `fit` that says how far it is and how long it will still take.

        The first step, in which TensorFlow writes down its graph, does not count for the estimate.
        """
        import keras

        epoch = done = 0  # done: steps since `fit` was called
        started = after_first = noted = 0.0

        def begin(logs: Any) -> None:
            nonlocal done, started
            done, started = 0, time.monotonic()
            self.show("Getting ready.")

        def begin_epoch(number: int, logs: Any) -> None:
            nonlocal epoch
            epoch = number

        def note(batch: int, logs: Any) -> None:
            nonlocal done, after_first, noted
            done, now = done + 1, time.monotonic()
            if done == 1:
                after_first = now
            elif now - noted > SECONDS_BETWEEN_NOTES and callback.params["steps"]:
                noted = now
                steps, num_epochs = callback.params["steps"], callback.params["epochs"]
                steps_left = (num_epochs - epoch) * steps - batch - 1
                time_left = duration((now - after_first) / (done - 1) * steps_left)
                share = f"{(batch + 1) / steps:.0%} of it done"
                self.show(f"Epoch {epoch + 1} of {num_epochs}, {share}, about {time_left} left.")

        def end(logs: Any) -> None:
            self.show(f"{done} steps in {time.monotonic() - started:.1f} s.")

        callback = keras.callbacks.LambdaCallback(
            on_train_begin=begin,
            on_epoch_begin=begin_epoch,
            on_train_batch_end=note,
            on_train_end=end,
        )
        return callback
