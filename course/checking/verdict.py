"""The answer to an answer: one line of verdict, then what helps, in HTML and in plain text."""

from dataclasses import dataclass
from html import escape

# Symbol, word and colour of each status; the colour never stands alone.
STATUS = {
    "right": ("✔", "right", "#2da44e"),
    "wrong": ("✘", "not yet", "#e36209"),
    "not started": ("○", "not started", "#808893"),
}


@dataclass(frozen=True)
class CheckResult:
    """What a check found.

    name, title: the exercise. status: "right", "wrong" or "not started". message: one line for
    the student. case: the smallest failing case (inputs, expected, got) as text, or "".
    seed: repeats the check's random inputs. checks: how many cases were tried. progress: how far
    the lesson is, or "". aside: what else is worth knowing, such as printed output, or "".
    """

    name: str
    title: str
    status: str
    message: str
    case: str = ""
    seed: int = 0
    checks: int = 0
    hints: tuple[str, ...] = ()
    progress: str = ""
    aside: str = ""

    @property
    def passed(self) -> bool:
        """Whether the answer is right."""
        return self.status == "right"

    @property
    def line(self) -> str:
        """The verdict in one line."""
        symbol, word, _ = STATUS[self.status]
        return " ".join(
            filter(None, (symbol, f"{self.name}: {word}.", self.message, self.progress))
        )

    @property
    def _repeat(self) -> str:
        return f'To repeat with the same inputs: @exercise("{self.name}", seed={self.seed})'

    def __str__(self) -> str:
        parts = [self.line]
        if self.case:
            parts += ["", _indented(self.case), "", self._repeat]
        if self.aside:
            parts += ["", self.aside]
        if not self.passed and self.hints:
            more = f" ({len(self.hints) - 1} more in a notebook)" if self.hints[1:] else ""
            parts += ["", f"Hint: {self.hints[0]}{more}"]
        return "\n".join(parts)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        symbol, word, colour = STATUS[self.status]
        parts = [
            f'<div style="border-left: 4px solid {colour}; padding: 0.2em 0.8em; margin: 0.2em 0">',
            f'<b><span style="color: {colour}">{symbol}</span> {word}</b> ',
            f"<code>{escape(self.name)}</code>: {_html(self.message)} {_html(self.progress)}",
        ]
        if self.case:
            parts.append(_folded("The smallest case that fails", _pre(self.case), is_open=True))
        if self.aside:
            parts.append(_pre(self.aside))
        if not self.passed and self.hints:
            parts.append(_nested(self.hints))
        if self.case:
            parts.append(f'<div style="opacity: 0.75; font-size: 90%">{_html(self._repeat)}</div>')
        return "".join([*parts, "</div>"])


def _indented(text: str) -> str:
    return "\n".join("    " + line for line in text.splitlines())


def _html(text: str) -> str:
    """Escaped, with `code` between backquotes set as code."""
    pieces = escape(text).split("`")
    if len(pieces) % 2 == 0:
        return escape(text)
    return "".join(
        f"<code>{piece}</code>" if number % 2 else piece for number, piece in enumerate(pieces)
    )


def _pre(text: str) -> str:
    style = "margin: 0.4em 0; font-family: monospace; white-space: pre-wrap; overflow-x: auto"
    return f'<pre style="{style}">{escape(text)}</pre>'


def _nested(hints: tuple[str, ...]) -> str:
    """The first hint, folded; inside it the next one, and so on."""
    inner = ""
    for number, hint in reversed(list(enumerate(hints, 1))):
        inner = _folded(f"Hint {number} of {len(hints)}", _html(hint) + inner)
    return inner


def _folded(summary: str, body: str, is_open: bool = False) -> str:
    attribute = " open" if is_open else ""
    return (
        f"<details{attribute}><summary>{escape(summary)}</summary>"
        f'<div style="padding-left: 1em">{body}</div></details>'
    )
