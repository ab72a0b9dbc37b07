"""What a check says to a student: one plain sentence for each thing that can go wrong."""

import contextlib
import inspect
import itertools
import linecache
import re
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from course.checking import source, values
from course.checking.time_limit import Interrupted, TimeIsUp

if TYPE_CHECKING:
    from course.checking.engine import Case, Exercise, Outcome
    from course.checking.guard import Observed

LONGEST_MESSAGE = 600  # characters
BOLD_AND_COLOUR = r"\x1b\[[0-9;]*m"  # what terminals take it from
NODE = r"\{\{.*?\}\} ?| \[Op:.*"  # where in TensorFlow's own machinery it happened

# What beginners need to hear beside some of the errors of Python, NumPy, torch and TensorFlow.
ADVICE = (
    (
        r"truth value of an array|Boolean value of Tensor",
        "`if`, `and` and `max(a, b)` need a single True or False, and this is a whole array: look "
        "for a function that works element by element.",
    ),
    (
        r"Can't call numpy\(\) on Tensor that requires grad",
        "This is NumPy code, and torch cannot follow slopes through NumPy: use torch's own "
        "function. (`.detach()`, which the error proposes, would cut the slopes off.)",
    ),
    (
        r"leaf Variable that requires grad|modified by an inplace operation",
        "`-=`, `+=` and `x[…] = …` change a tensor in place, and the slopes need its old values: "
        "make a new one, `x = x - …`. (A step of training or a running average is changed under "
        "`with torch.no_grad():`.)",
    ),
    (
        r"must match the size of tensor|match the broadcast shape",
        "Shapes are compared from the last axis backwards, where both sizes must be equal or one "
        "of them 1: print the shapes; `.view(…)` adds axes of size 1.",
    ),
    (
        r"does not require grad",
        "The loss must be computed from what the model returned, without `.detach()` or "
        "`.item()` on the way and not under `torch.no_grad()`.",
    ),
    (
        r'missing the required "forward" function',
        "An `nn.ModuleList` is a list and not a layer: loop over it. If the error names your own "
        "class, `def forward` must stand at the level of `def __init__`.",
    ),
    (
        r"takes 1 positional argument but 2 were given",
        "The first parameter of a method is `self`, and `__init__` has two underscores on each "
        "side.",
    ),
    (
        r"must be Tensor, not ReLU",
        "`nn.ReLU()` makes a layer; to apply it at once, use `functional.relu(…)`.",
    ),
    (
        r"No gradients provided for any variable",
        "The tape saw no way from the variables to the loss: compute logits and loss inside "
        "`with tf.GradientTape() as tape:`, with TensorFlow's functions only.",
    ),
    (
        r"[Ss]ymbolic ?`?(tf\.)?Tensor",
        "In `fit` and `tf.function` the values of tensors are not known yet when Python reads "
        "these lines: no `float` or `.numpy()` on them, and in `fit` no `if`; TensorFlow's own "
        "functions work.",
    ),
    (
        r"'NoneType' object has no attribute '_tape'",
        "Record inside `with tf.GradientTape() as tape:`; `tape.watch` belongs below `with`, and "
        "so does what is computed.",
    ),
    (
        r"numpy\.\S+' object has no attribute '_id'",
        "The tape cannot follow NumPy: hand it the tensor itself, without `.numpy()`.",
    ),
    (
        r"Cannot convert the argument `type_value`",
        "`tape.gradient` takes a result and not a function: compute `result = function(x)` first, "
        "inside `with`.",
    ),
    (
        r"Passed in object .*Variable",
        "Variables are followed without being asked: leave `tape.watch` away.",
    ),
    (
        r"tensorflow.* has no attribute 'backward'|(SGD|Adam)' .* attribute '(step|zero_grad)'",
        "That is PyTorch; here `tape.gradient` gives the slopes, and the optimizer's "
        "`apply_gradients` uses them.",
    ),
    (
        r"Cannot convert '\d+' to a shape",
        "A shape is a tuple, and a tuple of one number needs a comma: `(n,)`.",
    ),
    (
        r"Cannot convert [\d.e+-]+ to EagerTensor of dtype u?int",
        "The tensor holds whole numbers, which TensorFlow does not mix with fractions: "
        "`tf.cast(x, tf.float32)` first.",
    ),
    (
        r"expected to be a \w+ tensor but is a \w+ tensor",
        "TensorFlow does not mix dtypes: `tf.cast(x, tf.float32)` gives a tensor another one.",
    ),
    (
        r"EagerTensor'? object (has no attribute|does not support)",
        "A tensor of TensorFlow cannot be changed and has few methods: there are functions "
        "instead, such as `tf.reshape(x, shape)` and `tf.reduce_sum(x)`.",
    ),
    (
        r"GradientTape can only be used to compute one set of gradients",
        "Ask for all slopes in one call: `tape.gradient(loss, [a, b])`.",
    ),
    (
        r"object is not callable",
        "Is a name that used to be a function now a variable of yours, such as that of a loop?",
    ),
    (
        r"name '\w+' is not defined",
        "If an earlier cell makes it, run the cells above first; otherwise look for a typo.",
    ),
    (
        r"could not be broadcast|mat1 and mat2 shapes|matmul: Input operand|not aligned"
        r"|Matrix size-incompatible",
        "The shapes do not fit: print the shape of each array that takes part.",
    ),
    (
        r"is out of bounds for array of dimension",
        "Axes are counted from 0: an array with two axes has axis 0 and axis 1.",
    ),
    (
        r"must match the existing size|stack expects each tensor to be equal size",
        "A piece has another shape than its place: print the shapes. (A slice that begins at a "
        "negative number begins so far from the *end*: a corner is counted from 0.)",
    ),
    (
        r"is out of bounds for axis",
        "Positions run from 0 to the size less 1: print the position, and see where it comes from.",
    ),
    (
        r"cannot reshape array of size",
        "The sizes must multiply to the number of elements: take them from the array's own shape.",
    ),
)


def wrong_kind(exercise: "Exercise", candidate: Any) -> str | None:
    """Where the answer is a function instead of a class, the other way round, or neither."""
    kind = "class" if isinstance(exercise.reference, type) else "function"
    if isinstance(candidate, type) != (kind == "class") or not callable(candidate):
        return f"The answer to this exercise is a {kind}; this is {values.type_name(candidate)}."
    return None


def invitation(exercise: "Exercise") -> str:
    """What to do with an exercise that is not started."""
    stub = source.stubs().get(exercise.name, "raise NotImplementedError")
    task = "Write the body" if "NotImplementedError" in stub else "Find the bug and mend it"
    return (
        f"{task}, then run this cell again (about {exercise.minutes} minutes). "
        "Until then the course's own answer stands in."
    )


def passed(count: int) -> str:
    """For an answer that is right."""
    return "1 check passed." if count == 1 else f"{count} checks passed."


def nothing_returned(printed: bool) -> str:
    """What to add where the answer printed its result instead of returning it."""
    return " To print a value only shows it." if printed else ""


def out_of_time(seconds: float) -> str:
    """For an answer that was stopped."""
    return (
        f"it was stopped after {seconds:g} seconds: is there a loop that never ends? "
        "A right answer takes a fraction of a second."
    )


def say_stuck(stream: TextIO) -> None:
    """Tell the person, while the check still waits, that only a restart helps."""
    text = (
        "An answer is inside one long computation that Python cannot stop. "
        "If this goes on, choose Kernel → Restart."
    )
    with contextlib.suppress(OSError, ValueError):
        print(text, file=stream, flush=True)


def error(problem: BaseException, exercise: "Exercise", candidate: Any, case: "Case") -> str:
    """One sentence on an exception that left the answer."""
    line = _failing_line(problem, candidate)
    if line is None and isinstance(problem, TypeError) and not _can_be_called(candidate, case):
        return _signature_text(exercise, candidate)
    number, text = line or (0, "")
    quoted = text if len(text) <= 70 else text[:70] + "…"
    where = f" in line {number} (`{quoted}`)" if line else ""
    if isinstance(problem, SystemExit):
        return f"it tried to end the program{where}; a function gives its result with `return`."
    if isinstance(problem, RecursionError):
        advice = _advice(exercise.advice, problem) or "What should stop it?"
        return f"it calls itself without end{where}. {advice}"
    if isinstance(problem, NotImplementedError) and text.startswith("raise NotImplementedError"):
        return (
            f"line {number} is still `raise NotImplementedError`, and Python stops there: put your "
            "code in its place."
        )
    if isinstance(problem, MemoryError):
        return f"it asked for more memory than there is{where}. Which array is that large?"
    words, advice = _first_words(problem), _advice((*exercise.advice, *ADVICE), problem)
    return f"it stopped{where} with {words}{'' if words.endswith('.') else '.'} {advice}".strip()


def _advice(known: Sequence[tuple[str, str]], problem: BaseException) -> str:
    """The sentence beside the first pattern that an exception's words match, or ""."""
    words = _first_words(problem)
    return next((advice for pattern, advice in known if re.search(pattern, words)), "")


def _failing_line(problem: BaseException, candidate: Any) -> tuple[int, str] | None:
    """Number and text of the last line of the answer's own file that the exception went through."""
    code = source.code_of(candidate)
    if code is None:
        return None
    steps = itertools.islice(traceback.walk_tb(problem.__traceback__), 5_000)
    lines = [number for frame, number in steps if frame.f_code.co_filename == code.co_filename]
    if not lines:
        return None
    return lines[-1], linecache.getline(code.co_filename, lines[-1]).strip()


def _first_words(problem: BaseException) -> str:
    """Type and text of an exception in one line."""
    kind = type(problem).__name__
    if isinstance(problem, SyntaxError):  # Python's own text begins with the place
        return f"{kind}: {problem.msg}"
    lines = "".join(traceback.format_exception_only(problem)).strip().split("\n")
    if "Exception encountered when calling" in lines[0]:  # Keras puts its own words before
        text = next(filter(None, map(str.strip, lines[1:])), "")
        return f"{kind}: {re.sub(f'{BOLD_AND_COLOUR}|{NODE}', '', text)}"[:300]
    if "in user code:" in lines[0]:  # TensorFlow puts the way to the error before it
        return lines[-1].strip()[:300]
    return re.sub(NODE, "", lines[0])[:300]


def _can_be_called(candidate: Any, case: "Case") -> bool:
    """Whether the parameters fit; where a case has its own way of calling, nobody knows."""
    try:
        signature = inspect.signature(candidate)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*case.args)
    except TypeError:
        return case.call is not None
    return True


def _signature_text(exercise: "Exercise", candidate: Any) -> str:
    asked = inspect.signature(exercise.reference)
    return (
        f"it cannot be called as the task asks, `{exercise.reference.__name__}{asked}`: compare "
        f"the parameters of yours, `{_signature(candidate)}`."
    )


def _signature(candidate: Any) -> str:
    try:
        return f"{candidate.__name__}{inspect.signature(candidate)}"
    except (TypeError, ValueError):
        return getattr(candidate, "__name__", "it")


def argument_names(exercise: "Exercise", case: "Case") -> tuple[str, ...]:
    """What to call the arguments of a case."""
    if case.names:
        return case.names
    if not isinstance(exercise.reference, type):
        return tuple(inspect.signature(exercise.reference).parameters)[: len(case.args)]
    return tuple(f"argument {number}" for number in range(1, len(case.args) + 1))


def case_text(exercise: "Exercise", outcome: "Outcome") -> str:
    """Inputs, expected and got, one under the other."""
    case = outcome.case
    rows = list(zip(argument_names(exercise, case), case.args, strict=False))
    if case.expected is not None:
        rows.append(("expected", case.expected))
    if outcome.returned and outcome.got is not outcome.problem:  # a judge may pass a text on
        rows.append(("got", outcome.got))
    return "\n".join(_row(name, value) for name, value in rows)


def _row(name: str, value: Any) -> str:
    try:
        text = values.shown(value)
    except (TimeIsUp, Interrupted):
        raise
    except BaseException as problem:  # a result whose own repr fails, or even ends the program
        text = f"(cannot be shown: {type(problem).__name__})"
    return f"{name} = " + text.replace("\n", "\n" + " " * (len(name) + 3))


def changes(labels: list[str]) -> str:
    """For an answer that left its mark on the rest of the notebook."""
    if not labels:
        return ""
    return (
        f"the results are right, but the answer changed {', '.join(labels[:3])}, which other code "
        "relies on; it has been put back. Keep to local names and to what you were given."
    )


def aside(observed: "Observed", failed: "Outcome | None") -> str:
    """What the answer printed, and the first warning in the case that failed."""
    parts = []
    if observed.printed_total:
        more = observed.printed_total - len(observed.printed)
        tail = f"\n… and {more:,} more characters" if more else ""
        parts.append(f"Your code printed:\n{observed.printed.rstrip()}{tail}")
    if observed.displayed:
        things = "one output" if observed.displayed == 1 else f"{observed.displayed:,} outputs"
        parts.append(
            f"Your code displayed {things}, such as a picture; they are left out here. To see "
            "them, call it in a cell of its own."
        )
    if failed is not None and failed.warnings:
        first = failed.warnings[0].split("\n")[0]
        parts.append(f"Python warned: {first[:300]}")
    return "\n\n".join(parts)


def sentence(text: str) -> str:
    """In one line, with a capital at its start, and cut where an answer made it very long."""
    text = " ".join(plain(text).split())
    text = text if len(text) <= LONGEST_MESSAGE else text[:LONGEST_MESSAGE] + "…"
    return text[:1].upper() + text[1:]


def plain(text: str) -> str:
    """Without the characters that a terminal takes for orders, or a notebook cannot carry."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", text)
