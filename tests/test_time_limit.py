"""Work that does not end is stopped, on every path, and leaves nothing behind."""

import contextlib
import ctypes
import signal
import sys
import threading
import time

import numpy as np
import pytest

from course.checking import time_limit
from course.checking.time_limit import Interrupted, TimeIsUp, run_limited

LIMIT = 0.1
PATIENCE = 10.0  # seconds; far more than a stop takes, far less than for ever


def loops():
    while True:
        pass


def catches_exceptions():
    while True:
        try:
            time.sleep(0.01)
        except Exception:
            continue


def catches_everything():
    while True:
        try:
            time.sleep(0.01)
        except:  # noqa: E722
            continue


def catches_everything_without_a_pause():
    while True:
        try:
            sum(range(10))
        except BaseException:
            continue


def sleeps():
    time.sleep(10**6)


def computes():
    x = np.arange(1000.0)
    while True:
        x = np.sort(x)[::-1]


def recurses_in_a_loop():
    def deeper(n):
        return n and deeper(n - 1)

    while True:
        deeper(100)


ENDLESS = [
    loops,
    catches_exceptions,
    catches_everything,
    catches_everything_without_a_pause,
    sleeps,
    computes,
    recurses_in_a_loop,
]


@pytest.fixture
def own_handler():
    """A handler of SIGINT of ours; the list of what reached it."""
    heard = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    yield heard
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("work", ENDLESS)
def test_work_that_does_not_end_is_stopped(work, own_handler):
    handler, trace = signal.getsignal(signal.SIGINT), sys.gettrace()
    started = time.monotonic()
    with pytest.raises(TimeIsUp):
        run_limited(work, LIMIT)
    assert time.monotonic() - started < PATIENCE
    assert signal.getsignal(signal.SIGINT) is handler
    assert sys.gettrace() is trace
    time.sleep(3 * time_limit.POKE_SECONDS)
    assert own_handler == []


@pytest.mark.parametrize("work", [loops, catches_exceptions, computes, recurses_in_a_loop])
def test_it_is_stopped_on_another_thread_too(work):
    outcome = []

    def run():
        try:
            run_limited(work, LIMIT)
        except TimeIsUp:
            outcome.append("stopped")
        outcome.append(sum(range(1000)))  # nothing arrives afterwards

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert outcome == ["stopped", 499500]


def test_where_there_is_no_pthread_kill_the_signal_is_raised_by_the_process(monkeypatch):
    sent = []
    monkeypatch.delattr(signal, "pthread_kill")
    raise_signal = signal.raise_signal
    monkeypatch.setattr(
        signal, "raise_signal", lambda number: sent.append(number) or raise_signal(number)
    )
    with pytest.raises(TimeIsUp):
        run_limited(loops, LIMIT)
    assert set(sent) == {signal.SIGINT}


def test_work_that_takes_interrupts_over_is_stopped_all_the_same(own_handler):
    def work():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        loops()

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(TimeIsUp):
        run_limited(work, LIMIT)
    assert signal.getsignal(signal.SIGINT) is handler


def test_what_is_quick_enough_returns_or_raises_as_it_is(own_handler):
    assert run_limited(lambda: 7, PATIENCE) == 7
    with pytest.raises(KeyError):
        run_limited(lambda: {}[1], PATIENCE)
    with pytest.raises(SystemExit):
        run_limited(sys.exit, PATIENCE)
    assert threading.active_count() < 20 and own_handler == []


def test_work_that_ends_just_in_time_leaks_no_interrupt(own_handler):
    for step in range(12):
        pause = time_limit.MOST_PATIENCE * LIMIT + time_limit.POKE_SECONDS + (step - 6) / 1000
        try:
            result = run_limited(lambda pause=pause: time.sleep(pause), LIMIT)
        except TimeIsUp:
            result = None
        assert result is None
    time.sleep(3 * time_limit.POKE_SECONDS)
    assert own_handler == []


def arrives_in_join(event, monkeypatch):
    """Let `event` happen while the watchdog is being waited for, once."""
    join = threading.Thread.join
    left = [event]

    def join_and_more(self, timeout=None):
        if left:
            left.pop()()
        return join(self, timeout)

    monkeypatch.setattr(threading.Thread, "join", join_and_more)


def raise_in_this_thread():
    time_limit._raise_in_thread(
        ctypes.c_ulong(threading.get_ident()), ctypes.py_object(time_limit.TimeIsUp)
    )


def test_a_signal_that_comes_after_the_end_is_dropped(own_handler, monkeypatch):
    monkeypatch.setattr(time_limit, "POKE_SECONDS", PATIENCE)  # none from the watchdog
    arrives_in_join(lambda: signal.raise_signal(signal.SIGINT), monkeypatch)
    pause = (time_limit.MOST_PATIENCE + 1) * LIMIT
    assert run_limited(lambda: time.sleep(pause) or "done", LIMIT) == "done"
    assert own_handler == []


def test_work_that_others_keep_from_the_processor_has_more_time_by_the_clock(monkeypatch):
    """The processor's clock stands still, as it would if others had the processor."""
    started = time.monotonic()
    monkeypatch.setattr(time, "process_time", lambda: 0.0)
    assert run_limited(lambda: time.sleep(2 * LIMIT) or "done", LIMIT) == "done"
    with pytest.raises(TimeIsUp):
        run_limited(loops, LIMIT)
    assert time.monotonic() - started > (2 + time_limit.MOST_PATIENCE) * LIMIT


def test_an_exception_that_comes_after_the_end_is_dropped(own_handler, monkeypatch):
    handler = signal.getsignal(signal.SIGINT)
    arrives_in_join(raise_in_this_thread, monkeypatch)
    assert run_limited(lambda: "done", PATIENCE) == "done"
    assert signal.getsignal(signal.SIGINT) is handler
    assert sum(range(1000)) == 499500  # nothing arrives afterwards


def test_an_exception_that_is_still_on_its_way_is_caught_before_the_end(monkeypatch):
    def slow_range(stop):
        raise_in_this_thread()
        yield from range(stop)
        raise AssertionError("The exception did not arrive.")

    monkeypatch.setattr(time_limit, "range", slow_range, raising=False)
    time_limit._take_what_is_on_its_way()
    assert sum(range(1000)) == 499500


def test_a_handler_that_python_does_not_know_is_replaced_by_the_usual_one(monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(signal, "getsignal", lambda number: None)
            assert run_limited(lambda: 7, PATIENCE) == 7
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("finished", [False, True])
def test_the_line_after_a_stop_raises_again_unless_the_work_has_ended(finished):
    clock, before, passed = time_limit._Clock(0), sys.gettrace(), []
    clock.finished = finished

    def work():
        time_limit._raise_again_at_next_line(sys._getframe(), clock)
        passed.append("the next line")

    try:
        with contextlib.nullcontext() if finished else pytest.raises(TimeIsUp):
            work()
    finally:
        clock.finished = True
        sys.settrace(before)
    assert passed == (["the next line"] if finished else [])


def test_the_person_s_interrupt_arrives_as_one():
    timer = threading.Timer(0.2, signal.raise_signal, (signal.SIGINT,))
    timer.start()
    with pytest.raises(Interrupted):
        run_limited(loops, PATIENCE)
    assert issubclass(Interrupted, KeyboardInterrupt)


def test_one_long_call_that_cannot_be_stopped_is_reported_once(monkeypatch):
    monkeypatch.setattr(time_limit, "STUCK_SECONDS", 0.0)
    reports = []

    def work():
        matrix = np.random.default_rng(0).normal(size=(1000, 1000))
        np.linalg.svd(matrix)

    with pytest.raises(TimeIsUp):
        run_limited(work, 0.01, lambda: reports.append("stuck"))
    assert reports == ["stuck"]


@pytest.mark.parametrize("seconds", [0.0, 0.005, 0.01])
def test_no_later_error_is_shown_as_one_during_the_handling_of_a_stop(seconds):
    def work():
        while True:
            with np.errstate(all="ignore"):  # a stop can fall into the end of a `with`
                np.sort(np.arange(10_000.0))

    for _ in range(5):
        with contextlib.suppress(TimeIsUp):
            run_limited(work, seconds)
        assert sys.exception() is None
    with pytest.raises(ZeroDivisionError) as caught:
        1 / 0  # noqa: B018
    assert caught.value.__context__ is None


def test_what_was_being_handled_is_still_being_handled_afterwards():
    try:
        {}[1]
    except KeyError as error:
        with contextlib.suppress(TimeIsUp):
            run_limited(loops, LIMIT)
        assert sys.exception() is error


def test_an_import_that_is_under_way_may_finish(tmp_path, monkeypatch):
    program = "import time\ntime.sleep(0.5)\nDONE = True\n"
    (tmp_path / "slow_to_import.py").write_text(program, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    def work():
        import slow_to_import

        return slow_to_import.DONE

    try:
        assert run_limited(work, LIMIT) is True
    except TimeIsUp:  # a poke right after it
        assert sys.modules["slow_to_import"].DONE
    finally:
        sys.modules.pop("slow_to_import", None)
