"""An answer that does not end is stopped, whatever it catches, and the kernel stays as it was."""

# ruff: noqa: B012, SIM105 (the nasty forms are the point)

import contextlib
import itertools
import signal
import sys
import threading
import time

import numpy as np
import pytest

from course.checking import time_limit
from course.checking.time_limit import Interrupted, TimeIsUp, run_limited

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SECONDS = 0.1
# Enough for the polite attempts and the insistent ones after them, on a busy machine too.
PATIENCE = 5.0


def loops():
    while True:
        pass


def sleeps():
    time.sleep(1_000_000)


def waits_for_a_lock():
    lock = threading.Lock()
    with lock:
        lock.acquire()


def computes_with_numpy():
    a = np.ones((100, 100))
    while True:
        a = a @ a / np.linalg.norm(a)


def swallows_exceptions():
    while True:
        try:
            time.sleep(0.001)
        except Exception:
            pass


def swallows_everything():
    while True:
        try:
            pass
        except:  # noqa: E722
            pass


def sleeps_and_swallows():
    while True:
        try:
            time.sleep(1_000)
        except BaseException:
            pass


def swallows_at_every_depth():
    while True:
        try:
            while True:
                try:
                    while True:
                        try:
                            time.sleep(0.05)
                        except BaseException:
                            pass
                except BaseException:
                    pass
        except BaseException:
            pass


def continues_in_finally():
    while True:
        try:
            while True:
                pass
        finally:
            continue


def continues_in_finally_and_swallows():
    while True:
        try:
            try:
                loops()
            finally:
                continue
        except BaseException:
            pass


def returns_in_finally():
    def inner():
        try:
            loops()
        finally:
            return

    while True:
        inner()


def suppresses():
    while True:
        with contextlib.suppress(BaseException):
            loops()


def calls_what_swallows():
    def swallow(x):
        try:
            return x
        except BaseException:
            return 0

    for _ in map(swallow, itertools.count()):
        pass


def iterates_a_generator_that_swallows():
    def numbers():
        while True:
            try:
                yield 1
            except BaseException:
                pass

    while True:
        try:
            for _ in numbers():
                pass
        except BaseException:
            pass


def calls_itself_twice(depth=0):
    try:
        return calls_itself_twice(depth + 1)
    except BaseException:
        return calls_itself_twice(depth + 1)


def calls_itself_thrice(depth=0):
    try:
        return calls_itself_thrice(depth + 1)
    except BaseException:
        try:
            return calls_itself_thrice(depth + 1)
        except BaseException:
            return calls_itself_thrice(depth + 1)


def takes_over_interrupts():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass


# Python cannot end these on another thread than the main one, until they return by themselves.
BLOCKING = [sleeps, waits_for_a_lock, sleeps_and_swallows]
ENDLESS = [
    loops,
    computes_with_numpy,
    swallows_exceptions,
    swallows_everything,
    swallows_at_every_depth,
    continues_in_finally,
    continues_in_finally_and_swallows,
    returns_in_finally,
    suppresses,
    calls_what_swallows,
    iterates_a_generator_that_swallows,
    calls_itself_twice,
    calls_itself_thrice,
]


def seconds_until_stopped(work):
    started = time.monotonic()
    with pytest.raises(TimeIsUp):
        run_limited(work, SECONDS)
    return time.monotonic() - started


@pytest.fixture(autouse=True)
def recursion_limit():
    """An insistent attempt makes room above the limit; the guard puts it back, here we do."""
    limit = sys.getrecursionlimit()
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.parametrize("work", [*ENDLESS, *BLOCKING, takes_over_interrupts])
def test_work_that_does_not_end_is_stopped(work):
    assert SECONDS <= seconds_until_stopped(work) < PATIENCE
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("work", ENDLESS)
def test_it_is_stopped_on_another_thread_too(work):
    seconds = on_another_thread(lambda: seconds_until_stopped(work))
    assert SECONDS <= seconds < PATIENCE


def on_another_thread(work):
    results = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()
    thread.join(2 * PATIENCE)
    assert not thread.is_alive(), "It was not stopped."
    return results[0]


@pytest.mark.parametrize("work", [loops, swallows_everything])
def test_it_is_stopped_where_signals_cannot_be_sent_to_a_thread_as_on_windows(work, monkeypatch):
    monkeypatch.delattr(signal, "pthread_kill")
    assert seconds_until_stopped(work) < PATIENCE


def test_what_ends_in_time_returns_its_result():
    assert run_limited(lambda: 42, SECONDS) == 42
    assert on_another_thread(lambda: run_limited(lambda: 42, SECONDS)) == 42


def test_an_exception_of_the_work_comes_through():
    with pytest.raises(ZeroDivisionError):
        run_limited(lambda: 1 / 0, SECONDS)


def test_nothing_is_left_on_its_way_after_work_has_ended_at_the_last_moment():
    for number in range(20):
        seconds = 0.045 + 0.0005 * number  # around the first attempt to stop it
        with contextlib.suppress(TimeIsUp):
            run_limited(lambda seconds=seconds: time.sleep(seconds), 0.02)
    for _ in range(100_000):
        pass
    time.sleep(0.01)


def test_after_an_insistent_attempt_the_interpreter_can_be_traced():
    # CPython 3.11 hangs in a traced call while an asynchronous exception seems to be on its way.
    seconds_until_stopped(takes_over_interrupts)
    seen = []
    before = sys.gettrace()
    sys.settrace(lambda frame, event, argument: seen.append(event))
    try:
        (lambda: None)()
    finally:
        sys.settrace(before)
    assert "call" in seen


def test_an_earlier_handler_of_interrupts_comes_back(request):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    seconds_until_stopped(loops)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def interrupt_after(seconds):
    timer = threading.Timer(seconds, lambda: signal.raise_signal(signal.SIGINT))
    timer.start()
    return timer


@pytest.mark.parametrize("work", [loops, swallows_everything, swallows_at_every_depth])
def test_the_person_s_own_interrupt_ends_work_as_an_interrupt(work):
    interrupt_after(0.05)
    started = time.monotonic()
    with pytest.raises(Interrupted):
        run_limited(work, 60)
    assert time.monotonic() - started < PATIENCE
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_that_the_work_swallows_is_not_lost():
    def swallow():
        try:
            loops()
        except BaseException:
            return 42

    interrupt_after(0.05)
    with pytest.raises(Interrupted):
        run_limited(swallow, 60)


def test_an_import_may_finish_and_time_begins_again(tmp_path, monkeypatch):
    (tmp_path / "slow_to_import.py").write_text(
        "import time\nfor _ in range(30):\n    time.sleep(0.01)\nDONE = True\n", "utf-8"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    def imports():
        import slow_to_import

        return slow_to_import.DONE

    assert run_limited(imports, SECONDS) is True


def test_work_that_cannot_be_stopped_is_reported_once(monkeypatch):
    monkeypatch.setattr(time_limit, "STUCK_SECONDS", 0.02)
    reports = []
    big = np.random.default_rng(0).normal(size=(1000, 1000))

    def one_long_call():
        np.linalg.svd(big)  # a second or so, without the GIL

    with contextlib.suppress(TimeIsUp):
        run_limited(one_long_call, 0.05, lambda: reports.append("stuck"))
    assert reports == ["stuck"]
