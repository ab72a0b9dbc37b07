"""A check answers in one clear line, and leaves the kernel as it was, whatever an answer does."""

import html
import importlib
import os
import pkgutil
import random
import re
import sys
import time
import types
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from course import exercises, progress, results
from course.checking import engine, source
from course.checking.engine import Case, Exercise, Mistake, run_check
from course.checking.verdict import CheckResult

SECONDS = 0.3


def double(x):
    return 2 * x


def double_cases(rng):
    yield Case((np.array([1.0, 2.0, 3.0]),), np.array([2.0, 4.0, 6.0]))
    for shape in ((4,), (2, 3)):
        x = rng.normal(size=shape)
        yield Case((x,), x + x)


DOUBLE = Exercise(
    name="made.double",
    title="Twice",
    minutes=1,
    difficulty=1,
    reference=double,
    cases=double_cases,
    mistakes=(
        Mistake(lambda x: x**2, "That is the square."),
        Mistake(lambda x: x, "That is `x` itself."),
    ),
    hints=("Add <b>x</b> to itself.", "Or multiply.", "`return 2 * x`"),
)


def judged(*cases, reference=double, **more):
    """An exercise with these very cases."""
    return Exercise("made.other", "Other", 1, 1, reference, lambda rng: iter(cases), **more)


def checked(answer, exercise=DOUBLE, seconds=SECONDS, seed=0) -> CheckResult:
    return run_check(exercise, answer, seed, seconds)


# What an answer raises


def divides_by_zero(x):
    y = 2 * x
    return y / 0 if y is None else 1 / 0


def calls_itself(x):
    return calls_itself(x)


def leaves_the_program(x):
    sys.exit("bye")


def calls_exit(x):
    exit()


def calls_quit_and_goes_on(x):
    try:
        quit()
    except Exception:
        return x


def raises_keyboard_interrupt(x):
    raise KeyboardInterrupt


def wants_two(x, y):
    return 2 * x


def wants_none():
    return 2


def is_unfinished(x):
    y = 2 * x
    y = y + 0
    raise NotImplementedError("here")


def asks_for_all_memory(x):
    raise MemoryError


def uses_a_missing_name(x):
    return missing_name * x  # noqa: F821


def asks_for_one_truth(x):
    if x > 0:
        return x


class UnspeakableError(Exception):
    def __str__(self):
        raise ValueError


def raises_what_cannot_be_shown(x):
    raise UnspeakableError


def raises_a_long_text(x):
    raise ValueError("long " * 1_000_000)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (divides_by_zero, "ZeroDivisionError: division by zero"),
        (calls_itself, "calls itself without end"),
        (leaves_the_program, "tried to end the program"),
        (calls_exit, "tried to end the program"),
        (calls_quit_and_goes_on, "tried to end the program"),
        (raises_keyboard_interrupt, "KeyboardInterrupt"),
        (wants_two, "`double(x)`: compare the parameters of yours, `wants_two(x, y)`"),
        (wants_none, "compare the parameters of yours, `wants_none()`"),
        (is_unfinished, "is still `raise NotImplementedError`"),
        (asks_for_all_memory, "more memory than there is"),
        (uses_a_missing_name, "name 'missing_name' is not defined"),
        (asks_for_one_truth, "element by element"),
        (raises_what_cannot_be_shown, "UnspeakableError"),
        (raises_a_long_text, "ValueError: long long"),
    ],
)
def test_what_an_answer_raises_is_told_in_one_line(answer, words):
    result = checked(answer)
    assert result.status == "wrong"
    assert words in result.message
    assert "\n" not in result.message
    assert len(result.message) < 700


def test_the_line_that_failed_is_named_with_its_text():
    message = checked(divides_by_zero).message
    number = divides_by_zero.__code__.co_firstlineno + 2
    assert f"in line {number} (`return y / 0 if y is None else 1 / 0`)" in message


def test_the_line_of_an_unfinished_answer_is_named():
    number = is_unfinished.__code__.co_firstlineno + 3
    assert f"ine {number} is still" in checked(is_unfinished).message


def test_of_an_error_that_keras_wraps_its_own_words_are_shown():
    def answer(x):
        raise ValueError(
            "Exception encountered when calling Mine.call().\n\n\x1b[1mNo such weight.\x1b[0m\n\n"
            "Arguments received by Mine.call():\n  • inputs=…"
        )

    message = checked(answer).message
    assert message.endswith("with ValueError: No such weight.")
    assert "encountered" not in message and "[1m" not in message


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("No gradients provided for any variable.", "inside `with tf.GradientTape()"),
        ("Using a symbolic `tf.Tensor` as a Python `bool` is not allowed.", "not known yet"),
        ("float() argument must be a real number, not 'SymbolicTensor'", "not known yet"),
        (
            "input #1 was expected to be a float tensor but is a double tensor",
            "tf.cast",
        ),
        ("EagerTensor object has no attribute 'reshape'.", "tf.reshape"),
        (
            "A non-persistent GradientTape can only be used to compute one set of gradients",
            "one call",
        ),
        ("'NoneType' object has no attribute '_tape'", "below `with`"),
        ("'numpy.float32' object has no attribute '_id'", "cannot follow NumPy"),
        ("Cannot convert the argument `type_value`: f to a TensorFlow DType.", "result = function"),
        ("Passed in object <Variable path=dense/kernel, shape=(2, 3)>", "without being asked"),
        ("'tensorflow.x.EagerTensor' object has no attribute 'backward'", "That is PyTorch"),
        ("'Adam' object has no attribute 'zero_grad'", "That is PyTorch"),
        ("Cannot convert '64' to a shape.", "comma"),
        ("Cannot convert 0.003 to EagerTensor of dtype int64", "tf.cast"),
        (
            "in user code:\n\n    File 'x', line 1, in f\n\n    KeyError: 'a'\n",
            "with KeyError: 'a'.",
        ),
        ("Incompatible shapes: [3] vs. [2] [Op:GreaterEqual] name: ", "[3] vs. [2]."),
        ("{{function_node __wrapped}} Matrix size-incompatible: In[0]: [1,2]", "TypeError: Matrix"),
    ],
)
def test_what_tensorflow_says_is_put_into_words_for_a_beginner(words, advice):
    def answer(x):
        raise TypeError(words)

    assert advice in checked(answer).message


def test_what_an_exercise_knows_of_errors_comes_before_what_is_known_of_all():
    def answer(x):
        raise TypeError("'Adam' object has no attribute 'zero_grad'")

    exercise = judged(Case((1.0,), 1.0), advice=(("zero_grad", "Every tape is empty."),))
    message = checked(answer, exercise).message
    assert message.endswith("Every tape is empty.") and "PyTorch" not in message


def test_torch_s_own_not_implemented_error_is_not_taken_for_an_unfinished_answer():
    nn = pytest.importorskip("torch").nn

    def answer(x):
        return nn.Module()(x)

    message = checked(answer).message
    assert "is still" not in message
    assert "NotImplementedError" in message
    assert "`return nn.Module()(x)`" in message


@pytest.mark.parametrize("answer", [5, "2 * x", None, np.zeros(2), dict])
def test_what_is_not_a_function_is_no_answer(answer):
    result = checked(answer)
    assert result.status == "wrong"
    assert "is a function; this is" in result.message


def test_a_function_is_no_answer_where_a_class_is_asked_for():
    exercise = judged(Case((), 1), reference=types.SimpleNamespace)
    assert "is a class; this is" in checked(double, exercise).message


# What an answer returns


def gives_nothing(x):
    x + x


def gives_a_generator(x):
    yield from 2 * x


def gives_a_list(x):
    return list(2 * x)


def gives_a_column(x):
    return (2 * x)[..., None]


def gives_nan(x):
    return x * np.nan


def gives_integers(x):
    return (2 * x).astype(int)


def gives_objects(x):
    return np.array([{} for _ in x], dtype=object)


class Hostile:
    def __repr__(self):
        raise ValueError("no repr")

    def __eq__(self, other):
        raise ValueError("no eq")

    def __array__(self, *_, **__):
        raise ValueError("no array")

    __hash__ = None


class LeaveError(BaseException):
    """Like SystemExit no Exception; pytest would end with that one, and not fail."""


class LeavesWhenLookedAt(Hostile):
    def __repr__(self):
        raise LeaveError

    @property
    def __class__(self):
        raise LeaveError


class HostileText(str):
    __slots__ = ()

    def __eq__(self, other):
        raise UnspeakableError

    def __repr__(self):
        raise LeaveError

    __hash__ = None


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (gives_nothing, "returned None: is a `return` missing"),
        (gives_a_generator, "a value of type generator; a NumPy array is asked for"),
        (gives_a_list, "returned a list; a NumPy array is asked for"),
        (gives_a_column, "has shape (3, 1); it should have shape (3,)"),
        (gives_nan, "the element at [0] is NaN"),
        (gives_integers, "has dtype int64; it should have dtype float64"),
        (gives_objects, "has dtype object"),
        (lambda x: 2.0, "a value of type float; a NumPy array is asked for"),
        (lambda x: (2 * x, x), "returned a tuple"),
        (lambda x: Hostile(), "a value of type Hostile"),
        (lambda x: LeavesWhenLookedAt(), "LeavesWhenLookedAt"),
        (lambda x: 2 * x + 1, "the element at [0] is 3; it should be 2 (3 of 3 elements differ)"),
    ],
)
def test_what_is_wrong_with_a_result_is_told_in_one_line(answer, words):
    result = checked(answer)
    assert result.status == "wrong"
    assert words.lower() in result.message.lower()
    assert "\n" not in result.message


def test_a_text_that_cannot_be_compared_or_shown_is_told():
    exercise = judged(Case((1,), "one"))
    result = checked(lambda x: HostileText("one"), exercise)
    assert "cannot be compared" in result.message
    assert "cannot be shown" in result.case


def test_a_result_of_megabytes_is_shown_in_part():
    result = checked(lambda x: "a" * 5_000_000, judged(Case((1,), "one")))
    assert result.status == "wrong"
    assert len(str(result)) < 3_000


def test_what_the_judge_of_a_case_says_is_passed_on():
    exercise = judged(Case((1,), judge=lambda got: None if got > 1 else "it is too small."))
    assert checked(lambda x: 0, exercise).message == "It is too small."
    assert checked(lambda x: 2, exercise).passed
    assert "cannot be compared" in checked(lambda x: "two", exercise).message


# What an answer changes


def test_an_argument_changed_in_place_is_named():
    def answer(x):
        x *= 2
        return x

    message = checked(answer).message
    assert "changed its argument `x` in place" in message


def test_a_change_deep_inside_an_argument_is_seen():
    exercise = judged(Case(([{"w": np.ones(2)}],), 2), reference=lambda layers: 2)

    def answer(layers):
        layers[0]["w"][1] = 5
        return 2

    assert "changed its argument `layers`" in checked(answer, exercise).message


def test_a_list_of_numbers_that_is_sorted_in_place_is_seen():
    exercise = judged(Case(([3, 1, 2],), [1, 2, 3]), reference=lambda tokens: sorted(tokens))

    def answer(tokens):
        tokens.sort()
        return tokens

    assert "changed its argument `tokens`" in checked(answer, exercise).message


def test_an_argument_that_is_meant_to_change_may_change():
    exercise = judged(Case((np.ones(2),), np.zeros(2), may_change=(0,)))

    def answer(x):
        x[:] = 0
        return x

    assert checked(answer, exercise).passed


counter = 0


def changes_a_global_name(x):
    global counter
    counter += 1
    return 2 * x


def makes_a_global_name(x):
    global made_up
    made_up = x
    return 2 * x


def seeds_random(x):
    random.seed(1)
    return 2 * x


def draws_from_numpy(x):
    np.random.rand()
    return 2 * x


def silences_numpy(x):
    np.seterr(all="raise", under="ignore")
    return 2 * x


def raises_the_recursion_limit(x):
    sys.setrecursionlimit(sys.getrecursionlimit() + 77)
    return 2 * x


def goes_elsewhere(x):
    os.chdir(Path(os.sep))
    return 2 * x


def changes_a_variable(x):
    os.environ["MADE_UP_VARIABLE"] = "other"
    return 2 * x


def removes_a_variable(x):
    os.environ.pop("MADE_UP_VARIABLE", None)
    return 2 * x


def global_state():
    return (
        counter,
        "made_up" in globals(),
        random.getstate(),
        np.random.get_state()[1].tolist(),
        np.random.get_state()[2:],
        np.geterr(),
        sys.getrecursionlimit(),
        Path.cwd(),
        dict(os.environ),
    )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (changes_a_global_name, "the global name `counter`"),
        (makes_a_global_name, "the global name `made_up`"),
        (seeds_random, "the state of `random`"),
        (draws_from_numpy, "the state of `np.random`"),
        (silences_numpy, "NumPy's error settings"),
        (raises_the_recursion_limit, "the recursion limit"),
        (goes_elsewhere, "the working folder"),
        (changes_a_variable, "environment variables"),
        (removes_a_variable, "environment variables"),
    ],
)
def test_changed_global_state_is_reported_and_put_back(answer, words, monkeypatch):
    monkeypatch.setenv("MADE_UP_VARIABLE", "as it was")
    before = global_state()
    result = checked(answer)
    assert result.status == "wrong"
    assert "results are right, but the answer changed " + words in result.message
    assert global_state() == before


def test_changed_global_state_of_torch_is_reported_and_put_back():
    torch = pytest.importorskip("torch")
    before = torch.get_rng_state()
    for change, words in (
        (lambda: torch.set_default_dtype(torch.float64), "torch's default dtype"),
        (lambda: torch.set_grad_enabled(False), "torch's grad mode"),
        (lambda: torch.rand(1), "torch's random state"),
    ):
        assert words in checked(lambda x, change=change: (change(), 2 * x)[1]).message
        assert torch.get_default_dtype() == torch.float32
        assert torch.is_grad_enabled()
        assert torch.equal(torch.get_rng_state(), before)


def test_an_exercise_on_randomness_may_draw_and_the_state_comes_back_all_the_same():
    exercise = judged(Case((1,), 2), uses_randomness=True)
    random.seed(5)
    before = random.getstate()
    assert checked(lambda x: (random.random(), 2)[1], exercise).passed
    assert random.getstate() == before


def test_a_new_environment_variable_is_no_fault_of_the_answer(monkeypatch):
    monkeypatch.setenv("MADE_UP_NEW", "to be removed at the end")
    monkeypatch.delenv("MADE_UP_NEW")
    assert checked(lambda x: (os.environ.__setitem__("MADE_UP_NEW", "1"), 2 * x)[1]).passed


def test_wrong_results_come_before_changed_state():
    def answer(x):
        random.seed(1)
        return 3 * x

    assert "it should be" in checked(answer).message


def test_exit_works_as_before_after_a_check():
    checked(calls_exit)
    assert "exit" not in globals()


# What an answer prints


def test_megabytes_of_output_are_cut_and_counted(capsys):
    def answer(x):
        for _ in range(100):
            print("spam" * 10_000)
        sys.stderr.write("x" * 1_000_000)
        return 2 * x

    result = checked(answer, seconds=5)
    assert result.passed
    printed = 3 * (100 * 40_001 + 1_000_000)
    assert f"and {printed - 400:,} more characters" in result.aside
    assert len(str(result)) < 1_500
    assert capsys.readouterr() == ("", "")


def test_a_short_output_is_shown_whole_and_a_warning_of_the_failed_case_too():
    def answer(x):
        print("shape", x.shape)
        warnings.warn("mind the gap", stacklevel=1)
        return x + 1

    aside = checked(answer).aside
    assert "shape (3,)" in aside
    assert "more characters" not in aside
    assert "mind the gap" in aside


# Answers that do not end


def loops(x):
    while True:
        pass


def loops_in_a_try(x):
    while True:
        try:
            x = x + 1
        except Exception:
            x = x - 1


def loops_in_a_bare_except(x):
    while True:
        try:
            x = x + 1
        except:  # noqa: E722
            x = x - 1


def sleeps(x):
    time.sleep(10**6)


def loops_in_numpy(x):
    matrix = np.ones((200, 200))
    while True:
        matrix = matrix @ matrix / np.linalg.norm(matrix)


class LoopsWhenShown:
    def __repr__(self):
        while True:
            pass


@pytest.mark.parametrize(
    "answer", [loops, loops_in_a_try, loops_in_a_bare_except, sleeps, loops_in_numpy]
)
def test_an_answer_that_does_not_end_is_stopped(answer):
    start = time.monotonic()
    result = checked(answer)
    assert time.monotonic() - start < 2
    assert "stopped after 0.3 seconds: is there a loop that never ends?" in result.message
    assert "x = [1. 2. 3.]" in result.case
    assert checked(double).passed


def test_a_result_that_cannot_be_shown_in_time_keeps_the_reason():
    result = checked(lambda x: LoopsWhenShown())
    assert "a value of type LoopsWhenShown; a NumPy array is asked for" in result.message


# Inputs, seeds and known mistakes


def test_inputs_are_fresh_each_time_and_a_seed_repeats_them():
    seen = []

    def answer(x):
        seen.append(x.copy())
        return 2 * x + 1

    def inputs(seed):
        seen.clear()
        result = run_check(DOUBLE, answer, seed, SECONDS)
        return result.seed, [x.tolist() for x in seen]

    seed, first = inputs(None)
    other_seed, second = inputs(None)
    assert seed != other_seed
    assert first[1:] != second[1:]
    assert inputs(seed) == (seed, first)


def test_the_shown_seed_repeats_the_failing_case():
    def answer(x):
        return 2 * x if x.size < 5 else x

    first = run_check(DOUBLE, answer, seconds=SECONDS)
    (shown,) = re.findall(r'@exercise\("made.double", seed=(\d+)\)', str(first))
    again = run_check(DOUBLE, answer, int(shown), SECONDS)
    assert again.case == first.case
    assert "shape (2, 3)" in first.case


def test_the_smallest_failing_case_is_shown_with_inputs_expected_and_got():
    rows = [line.partition(" = ")[0] for line in checked(lambda x: x + 5).case.splitlines()]
    assert rows == ["x", "expected", "got"]


def test_a_dictionary_is_shown_with_a_line_for_each_key_and_counts_on_one_line():
    case = Case(({"a": Counter({1: 2, 3: 4}), "b": np.zeros((2, 1))},), 0)
    text = checked(lambda x: 1, judged(case)).case
    assert "x = a: {1: 2, 3: 4}\n    b: [[0.]\n" in text.replace("'", "")


def test_an_exercise_says_what_should_stop_a_function_that_calls_itself_without_end():
    def endless(x):
        return endless(x)

    assert "What should stop it?" in checked(endless).message
    exercise = judged(Case((1,), 2), advice=(("RecursionError", "Stop at 0."),))
    message = checked(endless, exercise).message
    assert "Stop at 0." in message and "What" not in message


def test_a_known_mistake_is_named():
    assert checked(lambda x: x * x).message == "That is the square."


def test_a_known_mistake_is_named_only_where_the_answer_behaves_the_same_on_all_inputs():
    def square_at_first(x):
        return x * x if x.shape == (3,) else 2 * x

    def square_that_stops_at_matrices(x):
        return x * x if x.ndim == 1 else x @ x

    for answer in (square_at_first, square_that_stops_at_matrices):
        message = checked(answer).message
        assert "square" not in message
        assert "the element at [0] is 1; it should be 2" in message.replace("The", "the")


@pytest.mark.parametrize("dtype, within, outside", [
    ("float64", 1e-8, 1e-4), ("float32", 1e-5, 1e-2), ("float16", 1e-3, 5e-2),
])  # fmt: skip
def test_the_tolerance_follows_the_dtype(dtype, within, outside):
    exercise = judged(Case((1,), np.ones(3, dtype)))
    assert checked(lambda x: np.full(3, 1 + within, dtype), exercise).passed
    assert not checked(lambda x: np.full(3, 1 + outside, dtype), exercise).passed


# The stub, and what is no longer the stub


def stub(x):
    """The task."""
    raise NotImplementedError


def stub_with_other_comments(x):
    """Another text,

    on more lines."""

    # TODO: think

    raise NotImplementedError(
        # later
        "to do"
    )


def hunted(
    x,
):  # a comment
    "Other quotes, other text."
    total = x + 1

    return total


def hunted_and_changed(x):
    total = x + 2
    return total


HUNT_STUB = 'def NAME(x):\n    """Find the bug."""\n    total = x + 1\n    return total'


@pytest.mark.parametrize("answer", [stub, stub_with_other_comments])
def test_a_stub_is_not_started_whatever_its_comments(answer):
    result = checked(answer)
    assert result.status == "not started"
    assert "Write the body, then run this cell again (about 1 minutes)" in result.message


@pytest.mark.parametrize(
    ("answer", "status"), [(hunted, "not started"), (hunted_and_changed, "wrong")]
)
def test_the_stub_of_a_bug_hunt_is_not_started_until_its_code_changes(answer, status, monkeypatch):
    stubs = {DOUBLE.name: HUNT_STUB.replace("NAME", answer.__name__)}
    monkeypatch.setattr(source, "stubs", lambda: stubs)
    result = checked(answer)
    assert result.status == status
    assert ("Find the bug and mend it" in result.message) == (status == "not started")


def test_an_answer_without_source_text_is_checked():
    assert checked(eval("lambda x: x + x")).passed
    assert checked(np.positive).message == "That is `x` itself."


# The decorator


@pytest.fixture
def relu(monkeypatch, tmp_path):
    """The decorator of a real exercise, with a record and figures of its own."""
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    for name in ("COURSE_STRICT", "NBGRADER_EXECUTION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(results, "_own_answers", {})
    monkeypatch.setattr(engine, "TIME_LIMIT", 2)
    pytest.importorskip("torch")
    return exercises.exercise("mlp.relu")


def reference_of(name):
    return next(entry.reference for entry in exercises.catalog() if entry.name == name)


def test_a_right_answer_stays_and_counts(relu, capsys):
    def answer(z):
        return z.clip(0)

    assert relu(answer) is answer
    assert capsys.readouterr().out.startswith("✔ mlp.relu: right.")
    assert progress.passed() == {"mlp.relu"}
    assert results._own_answers == {"mlp.relu": True}


@pytest.mark.parametrize(("answer", "word"), [(np.abs, "not yet"), (stub, "not started")])
def test_the_course_s_answer_stands_in_for_a_missing_or_wrong_one(relu, answer, word, capsys):
    assert relu(answer) is reference_of("mlp.relu")
    assert f"mlp.relu: {word}." in capsys.readouterr().out
    assert progress.passed() == set()
    assert len(progress.attempts()) == (word == "not yet")
    assert results._own_answers == {"mlp.relu": False}


RECURSIVE = """
def relu(z):
    if z.ndim == 0:
        return np.maximum(z, 0)
    return np.stack([{inner}(row) for row in z])
"""


def typed(text, **names):
    """The name space of a notebook in which the text was run."""
    space = {"np": np, "__name__": "typed", **names}
    exec(text, space)
    return space


def test_an_answer_may_call_itself_under_its_own_name(relu):
    space = typed(RECURSIVE.format(inner="relu"))
    assert exercises.check("mlp.relu", space["relu"]).passed
    assert len(progress.attempts()) == 0


def test_a_wrong_recursive_answer_does_not_pass_through_an_earlier_binding(relu, capsys):
    space = typed("def relu(z):\n    return relu(z[:]) if z.ndim else z", relu=lambda z: z * 0)
    earlier = space["relu"] = relu(space["relu"])
    assert earlier is reference_of("mlp.relu")
    wrong = typed("def relu(z):\n    return relu(z)", relu=earlier)["relu"]
    wrong.__globals__["relu"] = earlier
    assert relu(wrong) is earlier
    assert "calls itself without end" in capsys.readouterr().out
    assert wrong.__globals__["relu"] is earlier


CLASS = """
class Adder(Base):
    def __init__(self):
        super(Adder, self).__init__()
        self.own = 1
"""


class Base:
    def __init__(self):
        self.base = 1


def test_a_class_may_name_itself_in_super(monkeypatch):
    module = types.ModuleType("typed")
    module.Base = Base
    monkeypatch.setitem(sys.modules, "typed", module)
    exec(CLASS, vars(module))
    answer = vars(module).pop("Adder")
    case = Case((), 2, call=lambda adder: adder().own + adder().base)
    assert checked(answer, judged(case, reference=Base)).passed
    assert not hasattr(module, "Adder")


@pytest.mark.parametrize("variable, value", [
    ("COURSE_STRICT", "1"), ("NBGRADER_EXECUTION", "autograde"),
])  # fmt: skip
def test_in_strict_mode_a_wrong_answer_raises_and_nothing_is_written(
    relu, variable, value, monkeypatch, capsys
):
    monkeypatch.setenv(variable, value)
    for answer, words in ((np.abs, "not yet"), (stub, "not started")):
        with pytest.raises(exercises.ExerciseError, match=words):
            relu(answer)
    assert capsys.readouterr() == ("", "")
    assert results._own_answers == {}
    relu(lambda z: z.clip(0))
    out, err = capsys.readouterr()
    assert "right" in out
    assert err == ""


@pytest.mark.parametrize(
    ("name", "words"),
    [("mlp.rleu", "did you mean 'mlp.relu'?"), ("nothing at all", "the first one is 'start.")],
)
def test_an_unknown_name_suggests_the_near_one(relu, name, words):
    for call in (lambda: exercises.exercise(name), lambda: exercises.check(name, double)):
        with pytest.raises(ValueError, match=re.escape(words)):
            call()


def test_check_neither_prints_nor_binds_nor_records(relu, capsys):
    before = dict(globals())
    assert not exercises.check("mlp.relu", np.abs).passed
    assert exercises.check("mlp.relu", lambda z: z.clip(0)).passed
    assert capsys.readouterr() == ("", "")
    assert progress.attempts() == []
    assert results._own_answers == {}
    assert dict(globals()) == before


def test_the_catalog_is_complete_and_sane():
    pytest.importorskip("torch")
    entries = exercises.catalog()
    assert [entry.lesson for entry in entries] == sorted(entry.lesson for entry in entries)
    names = [entry.name for entry in entries]
    assert len(set(names)) == len(names)
    assert set(names) == set(source.stubs())
    folder = Path(exercises.__file__).parent
    modules = {module.name for module in pkgutil.iter_modules([str(folder)])}
    assert modules == {name.partition(".")[0] for name in names}
    lessons = folder.parent.parent / "lessons"
    for entry in entries:
        exercise = exercises._find(entry.name)
        assert (lessons / f"{entry.lesson}.py").exists()
        assert 1 <= entry.minutes <= 30
        assert entry.difficulty in (1, 2, 3)
        assert entry.title
        assert callable(entry.reference)
        assert exercise.hints
        assert len(exercise.mistakes) >= 5 or entry.name in tried_by_the_lesson_s_tests()


def tried_by_the_lesson_s_tests() -> set[str]:
    """Exercises whose wrong answers stand in the tests of their lesson instead."""
    names = set()
    for path in Path(__file__).parent.glob("test_exercises_*.py"):
        answers = getattr(importlib.import_module(path.stem), "ANSWERS", {})
        names |= {name for name, given in answers.items() if len(given["wrong"]) >= 5}
    return names


# How a verdict looks

SCRIPT = "<script>alert(1)</script>"


def raises_a_script(x):
    raise ValueError(SCRIPT)


def prints_a_script(x):
    print(SCRIPT)
    return x + 1


class Scripted:
    def __repr__(self):
        return SCRIPT


@pytest.mark.parametrize("answer", [raises_a_script, prints_a_script, lambda x: Scripted()])
def test_whatever_an_answer_says_is_escaped(answer):
    page = checked(answer)._repr_html_()
    assert SCRIPT in html.unescape(page)
    assert "<script" not in page


def test_the_verdict_is_one_line_with_the_hints_folded_one_inside_the_other():
    result = checked(lambda x: x + 1)
    assert "\n" not in result.line
    page = result._repr_html_()
    assert page.index("made.double") < page.index("<details")
    assert page.count("<details") == page.count("</details>") == 4  # the case and three hints
    assert page.count("<details open") == 1  # the case
    first, second, third = (page.index(f"Hint {n} of 3") for n in (1, 2, 3))
    assert "</details>" not in page[first:second] + page[second:third]
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert "<code>return 2 * x</code>" in page


def test_a_right_answer_shows_no_hints_and_no_seed():
    result = checked(double)
    assert str(result) == "✔ made.double: right. 3 checks passed."
    assert "<details" not in result._repr_html_()
