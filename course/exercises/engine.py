"""Check an answer against an exercise: fresh inputs, an independent truth, a helpful verdict."""

import contextlib
import copy
import functools
import inspect
import itertools
import linecache
import secrets
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from course.exercises import compare, guard, source
from course.exercises.verdict import CheckResult

TIME_LIMIT = 5.0  # seconds for all cases of one check; right answers take a small part of it


@dataclass(frozen=True)
class Case:
    """One call of an answer and what it must give.

    args: passed as copies. expected: the true result, or None where `judge` decides.
    judge: takes the result and returns a sentence on what is wrong with it, or None.
    call: how the answer is called, `answer(*args)` unless given. names: what to call the
    arguments in a message; the reference's own parameter names unless given. may_change: positions
    of arguments that the answer is meant to change in place.
    """

    args: tuple[Any, ...]
    expected: Any = None
    judge: Callable[[Any], str | None] | None = None
    call: Callable[..., Any] | None = None
    names: tuple[str, ...] = ()
    may_change: tuple[int, ...] = ()


@dataclass(frozen=True)
class Mistake:
    """A plausible wrong answer, and what to say to somebody who gave it."""

    answer: Callable[..., Any]
    message: str


@dataclass(frozen=True)
class Exercise:
    """Everything about one exercise.

    reference: the course's own answer; its source is what the solutions show. cases: makes the
    cases, smallest first, from a random generator. difficulty: 1 (a line) to 3 (think first).
    uses_randomness: the answer may draw from the global random states.
    """

    name: str
    title: str
    minutes: int
    difficulty: int
    reference: Any
    cases: Callable[[np.random.Generator], Iterable[Case]]
    mistakes: tuple[Mistake, ...] = ()
    hints: tuple[str, ...] = ()
    uses_randomness: bool = False


@dataclass
class _Findings:
    """What trying the cases has shown so far; it survives when time runs out."""

    tried: int = 0
    message: str = ""
    case: str = ""


@dataclass
class _Outcome:
    """What one case gave: a result, or a sentence on how it failed."""

    case: Case
    got: Any = None
    returned: bool = False
    problem: str | None = None


def run_check(
    exercise: Exercise, candidate: Any, seed: int | None = None, seconds: float | None = None
) -> CheckResult:
    """Try `candidate` on the exercise's cases; never raises whatever the answer does.

    seed: repeats the inputs of an earlier check; a fresh one otherwise. seconds: for all cases,
    TIME_LIMIT unless given.

    Raises:
        guard.Interrupted: the person interrupted the kernel.
    """
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    seconds = TIME_LIMIT if seconds is None else seconds

    def result(status: str, message: str, **more: Any) -> CheckResult:
        return CheckResult(
            exercise.name, exercise.title, status, message, seed=seed, hints=exercise.hints, **more
        )

    if problem := _not_callable(exercise, candidate):
        return result("wrong", problem)
    if source.is_untouched(exercise.name, candidate):
        return result("not started", _invitation(exercise))
    namespace = _namespace(candidate)
    findings = _Findings()
    with guard.protected(namespace, exercise.uses_randomness) as observed:
        try:
            guard.run_limited(
                lambda: _try_cases(exercise, candidate, namespace, seed, findings),
                seconds,
                on_stuck=functools.partial(_say_stuck, sys.__stderr__),
            )
        except guard.TimeIsUp:
            findings.message = findings.message or _time_text(seconds)
    message = findings.message or _changes_text(observed.changes)
    return result(
        "wrong" if message else "right",
        _sentence(message or f"{findings.tried} checks passed."),
        case=findings.case,
        checks=findings.tried,
        aside=_aside(observed),
    )


def _not_callable(exercise: Exercise, candidate: Any) -> str | None:
    kind = "class" if isinstance(exercise.reference, type) else "function"
    if isinstance(candidate, type) != (kind == "class") or not callable(candidate):
        return f"The answer to this exercise is a {kind}; this is {compare.type_name(candidate)}."
    return None


def _invitation(exercise: Exercise) -> str:
    stub = source.stubs().get(exercise.name, "raise NotImplementedError")
    task = "Write the body" if "NotImplementedError" in stub else "Find the bug and mend it"
    return (
        f"{task}, then run this cell again (about {exercise.minutes} minutes). "
        "Until then the course's own answer stands in."
    )


def _namespace(candidate: Any) -> dict[str, Any]:
    """The global names that the candidate's code sees."""
    if hasattr(candidate, "__globals__"):
        return candidate.__globals__
    module: ModuleType | None = sys.modules.get(getattr(candidate, "__module__", ""))
    return vars(module) if module else vars(sys.modules["__main__"])


def _try_cases(
    exercise: Exercise,
    candidate: Any,
    namespace: dict[str, Any],
    seed: int,
    findings: _Findings,
) -> None:
    """Try every case and put the first failure, or the mistake that explains all, into words."""
    outcomes = []
    for case in exercise.cases(np.random.default_rng(seed)):
        outcomes.append(_try_case(exercise, candidate, case, namespace))
        findings.tried += 1
        if outcomes[-1].problem and not findings.message:
            findings.message = outcomes[-1].problem
            findings.case = _case_text(exercise, outcomes[-1])
    if findings.message:
        findings.message = _recognised(exercise, outcomes) or findings.message


def _time_text(seconds: float) -> str:
    return (
        f"it was stopped after {seconds:g} seconds: is there a loop that never ends? "
        "A right answer takes a fraction of a second."
    )


def _say_stuck(stream: Any) -> None:
    """Tell the person, from the watchdog, that only a restart helps."""
    text = (
        "An answer is inside one long computation that Python cannot stop. "
        "If this goes on, choose Kernel → Restart."
    )
    with contextlib.suppress(OSError, ValueError):
        print(text, file=stream, flush=True)


def _try_case(
    exercise: Exercise, candidate: Any, case: Case, namespace: dict[str, Any]
) -> _Outcome:
    """Call the answer on copies of the arguments and note what is wrong with what it did."""
    arguments = copy.deepcopy(case.args)
    name = candidate.__name__
    missing = object()
    before = namespace.get(name, missing)
    # A decorated name is not bound yet while its decorator runs: an answer that calls itself, or
    # a class that names itself in `super`, would find nothing, or an earlier answer.
    namespace[name] = candidate
    try:
        got = case.call(candidate, *arguments) if case.call else candidate(*arguments)
    except (guard.TimeIsUp, guard.Interrupted):
        raise
    except BaseException as error:  # also SystemExit: the kernel outlives every answer
        return _Outcome(case, problem=_error_text(error, candidate))
    finally:
        if before is missing:
            namespace.pop(name, None)
        else:
            namespace[name] = before
    problem = _changed_arguments(exercise, case, arguments) or _wrong_result(case, got)
    return _Outcome(case, got, returned=True, problem=problem)


def _wrong_result(case: Case, got: Any) -> str | None:
    try:
        if case.judge is not None:
            return case.judge(got)
        return compare.difference(got, case.expected)
    except Exception as error:  # what came back is stranger than the comparison can take
        return f"it returned {compare.type_name(got)} that cannot be compared ({error})."


def _changed_arguments(exercise: Exercise, case: Case, arguments: tuple[Any, ...]) -> str | None:
    for position, (before, after) in enumerate(zip(case.args, arguments, strict=True)):
        if position in case.may_change or not _comparable(before):
            continue
        if compare.difference(after, before):
            return (
                f"it changed its argument `{_argument_names(exercise, case)[position]}` in place; "
                "work on a new array and leave what you were given as it is."
            )
    return None


def _comparable(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_comparable, value))
    if isinstance(value, dict):
        return all(map(_comparable, value.values()))
    return compare.is_array(value)


def _error_text(error: BaseException, candidate: Any) -> str:
    """One sentence on an exception that left the answer."""
    where = _where(error, candidate)
    if isinstance(error, SystemExit):
        return f"it tried to end the program{where}; a function gives its result with `return`."
    if isinstance(error, RecursionError):
        return f"it calls itself without end{where}: what should stop it?"
    if isinstance(error, NotImplementedError):
        return f"it still reaches `raise NotImplementedError`{where}: delete that line at the end."
    if isinstance(error, MemoryError):
        return f"it asked for more memory than there is{where}: which array is that large?"
    text = "".join(traceback.format_exception_only(error)).strip()
    return f"it stopped{where} with {text[:300]}"


def _where(error: BaseException, candidate: Any) -> str:
    code = source.code_of(candidate)
    if code is None:
        return ""
    steps = itertools.islice(traceback.walk_tb(error.__traceback__), 5_000)
    lines = [number for frame, number in steps if frame.f_code.co_filename == code.co_filename]
    if not lines:
        return ""
    text = linecache.getline(code.co_filename, lines[-1]).strip()
    return f" in line {lines[-1]}, `{text}`," if text else f" in line {lines[-1]}"


def _recognised(exercise: Exercise, outcomes: list[_Outcome]) -> str | None:
    """What to say where the answer behaves just like a mistake that is known."""
    if not any(outcome.problem and outcome.returned for outcome in outcomes):
        return None
    for mistake in exercise.mistakes:
        if all(_behaves_alike(mistake, outcome) for outcome in outcomes):
            return mistake.message
    return None


def _behaves_alike(mistake: Mistake, outcome: _Outcome) -> bool:
    """Whether the mistake gives the same result on this case, or fails as well."""
    case, arguments = outcome.case, copy.deepcopy(outcome.case.args)
    try:
        with warnings.catch_warnings(action="ignore"):
            result = (
                case.call(mistake.answer, *arguments) if case.call else mistake.answer(*arguments)
            )
        return outcome.returned and compare.difference(outcome.got, result) is None
    except Exception:  # a mistake need not survive every input
        return not outcome.returned


def _argument_names(exercise: Exercise, case: Case) -> tuple[str, ...]:
    if case.names:
        return case.names
    if not isinstance(exercise.reference, type):
        return tuple(inspect.signature(exercise.reference).parameters)[: len(case.args)]
    return tuple(f"argument {number}" for number in range(1, len(case.args) + 1))


def _case_text(exercise: Exercise, outcome: _Outcome) -> str:
    """Inputs, expected and got, one under the other."""
    names = _argument_names(exercise, outcome.case)
    rows = list(zip(names, outcome.case.args, strict=False))
    if outcome.case.expected is not None:
        rows.append(("expected", outcome.case.expected))
    if outcome.returned:
        rows.append(("got", outcome.got))
    return "\n".join(_row(name, value) for name, value in rows)


def _row(name: str, value: Any) -> str:
    try:
        text = compare.shown(value)
    except Exception as error:  # a result whose own repr fails
        text = f"(cannot be shown: {type(error).__name__})"
    return f"{name} = " + text.replace("\n", "\n" + " " * (len(name) + 3))


def _changes_text(changes: list[str]) -> str:
    if not changes:
        return ""
    return (
        f"the results are right, but the answer changed {', '.join(changes[:3])}, which other code "
        "relies on; it has been put back. Keep to local names and to what you were given."
    )


def _aside(observed: guard.Observed) -> str:
    parts = []
    if observed.printed_total:
        more = observed.printed_total - len(observed.printed)
        tail = f"\n… and {more:,} more characters" if more else ""
        parts.append(f"Your code printed:\n{observed.printed.rstrip()}{tail}")
    if observed.warnings:
        parts.append(f"Python warned: {observed.warnings[0][:300]}")
    return "\n\n".join(parts)


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:]
