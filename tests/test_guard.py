"""What an answer does to the shared state of a kernel is undone, even where checks meet."""

import contextlib
import io
import logging
import os
import signal
import sys
import threading
import time

import numpy as np
import pytest

from course import hardware
from course.checking import memory
from course.checking.engine import Case, Exercise, run_check
from course.checking.guard import Observed, protected
from course.checking.settings import kept
from course.checking.time_limit import run_limited

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux")


def changes_of(action) -> list[str]:
    """What was found changed after the action, and put back."""
    changed = []
    with kept(changed, random_allowed=False):
        action()
    return changed


def leave_the_folder(folder):
    folder.mkdir()
    os.chdir(folder)
    folder.rmdir()


@pytest.mark.parametrize(
    ("action", "label", "read"),
    [
        (lambda: np.set_printoptions(precision=1), "NumPy's print options", np.get_printoptions),
        (lambda: sys.settrace(lambda *_: None), "the trace function", sys.gettrace),
        (
            lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
            "the handlers of signals",
            lambda: signal.getsignal(signal.SIGTERM),
        ),
    ],
)
def test_a_changed_setting_is_put_back(action, label, read):
    before = read()
    assert changes_of(action) == [label]
    assert read() == before


def test_a_changed_setting_of_torch_is_put_back():
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    for action, label in (
        (lambda: torch.set_default_device("meta"), "torch's default device"),
        (lambda: torch.set_num_threads(threads + 1), "torch's number of threads"),
        (
            lambda: torch.use_deterministic_algorithms(True),
            "torch's choice of deterministic algorithms",
        ),
    ):
        assert changes_of(action) == [label]
    assert torch.ones(1).device.type == "cpu"
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.fixture
def tf():
    """TensorFlow, loaded as the lessons load it and seeded."""
    pytest.importorskip("tensorflow")
    with hardware.quiet_tensorflow():
        import tensorflow
    tensorflow.keras.utils.set_random_seed(5)
    return tensorflow


def test_a_changed_setting_of_tensorflow_or_keras_is_put_back(tf):
    config = tf.keras.config
    for action, label in (
        (lambda: config.set_floatx("float64"), "Keras's default dtype"),
        (lambda: config.set_dtype_policy("mixed_bfloat16"), "Keras's dtype policy"),
        (
            lambda: tf.config.run_functions_eagerly(True),
            "whether TensorFlow runs functions eagerly",
        ),
    ):
        assert changes_of(action) == [label]
    assert config.floatx() == "float32" and config.dtype_policy().name == "float32"
    assert not tf.config.functions_run_eagerly()


def test_what_was_drawn_from_tensorflow_can_be_drawn_again(tf):
    def draws():
        return [float(tf.random.uniform([])), float(tf.keras.random.uniform([]))]

    for already_drawn in (0, 3):
        tf.keras.utils.set_random_seed(5)
        for _ in range(already_drawn):
            draws()
        labels = ["TensorFlow's random state", "Keras's random state"]
        if not already_drawn:  # Keras makes its shared generator, with a seed from `random`
            labels.insert(0, "the state of `random`")
        assert changes_of(draws) == labels
        seen = draws()
        tf.keras.utils.set_random_seed(5)
        for _ in range(already_drawn):
            draws()
        assert draws() == seen
    tf.keras.utils.set_random_seed(5)
    before = draws()
    assert changes_of(lambda: tf.random.set_seed(9)) == ["TensorFlow's random state"]
    tf.keras.utils.set_random_seed(5)
    assert draws() == before


def test_a_folder_that_is_gone_stops_nothing(tmp_path):
    home = os.getcwd()
    assert changes_of(lambda: leave_the_folder(tmp_path / "gone")) == ["the working folder"]
    assert os.getcwd() == home
    try:
        leave_the_folder(tmp_path / "gone")
        assert changes_of(lambda: None) == []
    finally:
        os.chdir(home)


def test_nothing_changed_is_nothing_reported():
    assert changes_of(lambda: np.random.default_rng(0).normal()) == []


def test_deep_recursion_through_c_ends_in_an_error_and_not_in_a_crash():
    def recurses(x):
        sys.setrecursionlimit(10**9)
        return sorted([x], key=recurses)

    with protected({}, random_allowed=False), pytest.raises(RecursionError):
        recurses(1)
    assert sys.setrecursionlimit.__name__ == "setrecursionlimit"


@LINUX
def test_memory_beyond_the_limit_is_refused_and_the_limit_goes(monkeypatch):
    import resource  # noqa: TID251

    before = resource.getrlimit(resource.RLIMIT_DATA)
    monkeypatch.setattr(memory, "MOST_BYTES", 300 * 10**6)
    with memory.limited():
        assert np.ones(10**7).sum() == 10**7
        with pytest.raises(MemoryError):
            np.ones(10**8)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    assert np.ones(5 * 10**7).sum() == 5 * 10**7


@LINUX
def test_memory_in_small_pieces_is_refused_too(monkeypatch):
    monkeypatch.setattr(memory, "MOST_BYTES", 100 * 10**6)

    def hoards(x):
        pieces = []
        while True:
            pieces.append(np.ones(10**5))

    assert "more memory than there is in line" in checked(hoards).message


@LINUX
@pytest.mark.parametrize(("limit", "used", "free"), [("1000", "300", 700), ("10", "30", 0)])
def test_the_memory_of_a_container_is_respected(limit, used, free, tmp_path, monkeypatch):
    (tmp_path / "memory.max").write_text(limit, "utf-8")
    (tmp_path / "memory.current").write_text(used, "utf-8")
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    assert memory.bytes_free() == free


def test_where_there_is_no_such_limit_nothing_happens(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with memory.limited():
        pass


@pytest.mark.parametrize("name", ["exit", "quit", "input", "breakpoint"])
def test_the_drastic_functions_of_python_do_nothing_drastic(name):
    space = {}
    refused = pytest.raises((SystemExit, RuntimeError))
    with protected(space, random_allowed=False) as observed, refused:
        space[name]()
    assert name not in space
    assert observed == Observed()


def test_a_name_of_the_student_s_own_is_left_alone():
    space = {"input": 5, "exit": 6}
    with protected(space, random_allowed=False):
        assert (space["input"], space["exit"]) == (5, 6)
    assert space == {"input": 5, "exit": 6}


def test_what_a_library_logs_meanwhile_is_kept_from_the_notebook():
    stream = io.StringIO()  # as known to the library since it was loaded
    logger = logging.getLogger("a library")
    logger.addHandler(logging.StreamHandler(stream))
    with protected({}, random_allowed=False) as observed:
        logger.error("inside")
    logger.error("afterwards")
    assert stream.getvalue() == "afterwards\n"
    assert observed == Observed()


def test_figures_left_open_are_closed_and_counted():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    mine = pyplot.figure()
    with protected({}, random_allowed=False) as observed:
        pyplot.figure()
        pyplot.plot([1, 2])
    assert observed.displayed == 1
    assert pyplot.get_fignums() == [mine.number]
    pyplot.close(mine)


def test_an_interrupt_while_things_are_put_back_waits_until_they_are(monkeypatch):
    class Slow(dict):
        """A name space during whose restoring the person presses the button."""

        def get(self, *key):
            signal.raise_signal(signal.SIGINT)
            return super().get(*key)

    space = Slow(kept=1)
    with pytest.raises(KeyboardInterrupt), protected(space, random_allowed=False):
        space["new"] = 2
    assert dict.keys(space) == {"kept"}
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert sys.stdout is not None


# Whole checks


def double(x):
    return 2 * x


def exercise(reference=double, case=None):
    case = case or Case((np.ones(2),), 2 * np.ones(2))
    return Exercise("made.guarded", "Guarded", 1, 1, reference, lambda rng: [case])


def checked(answer, seconds=2.0, **more):
    return run_check(exercise(**more), answer, 0, seconds)


def test_an_answer_may_check_another_one():
    def answer(x):
        inner = checked(double)
        with contextlib.suppress(KeyError):
            inner = checked(lambda x: {}[0])
        return 2 * x if "KeyError" in inner.message else x

    assert checked(answer).passed


def loops(x):
    while True:
        pass


def test_an_answer_that_does_not_end_within_an_answer_is_stopped():
    def answer(x):
        checked(loops, seconds=60)

    started = time.monotonic()
    assert not checked(answer, seconds=0.2).passed
    assert time.monotonic() - started < 10


def test_two_checks_at_once_in_two_threads_leave_everything_as_it_was():
    stdout, hook = sys.stdout, sys.unraisablehook
    results = []

    def answer(x):
        print("spam")
        time.sleep(0.05)
        return 2 * x

    threads = [threading.Thread(target=lambda: results.append(checked(answer))) for _ in range(3)]
    for thread in threads:
        thread.start()
    results.append(checked(answer))
    for thread in threads:
        thread.join()
    assert [(result.passed, result.aside) for result in results] == [
        (True, "Your code printed:\nspam")
    ] * 4
    assert (sys.stdout, sys.unraisablehook) == (stdout, hook)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_limit_within_a_limit_keeps_to_both():
    def inner():
        return run_limited(lambda: 42, 1)

    assert run_limited(inner, 1) == 42
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
