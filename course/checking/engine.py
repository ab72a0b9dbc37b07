"""Check an answer against an exercise: fresh inputs, an independent truth, a helpful verdict."""

import copy
import functools
import secrets
import sys
import types
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from course.checking import compare, memory, source, values, wording
from course.checking.guard import protected
from course.checking.time_limit import Interrupted, TimeIsUp, run_limited
from course.checking.verdict import CheckResult

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
    advice: a pattern and a sentence for each error that wrong answers to it often raise, looked
    through before `wording.ADVICE`. uses_randomness: the answer may draw from the global random
    states.
    """

    name: str
    title: str
    minutes: int
    difficulty: int
    reference: Any
    cases: Callable[[np.random.Generator], Iterable[Case]]
    mistakes: tuple[Mistake, ...] = ()
    hints: tuple[str, ...] = ()
    advice: tuple[tuple[str, str], ...] = ()
    uses_randomness: bool = False


@dataclass
class Outcome:
    """What one case gave: a result, or a sentence on how it failed."""

    case: Case
    got: Any = None
    returned: bool = False
    problem: str = ""
    warnings: tuple[str, ...] = ()


@dataclass
class _Findings:
    """What trying the cases has shown so far; it survives when time runs out."""

    under_way: Case | None = None
    tried: int = 0
    message: str = ""
    failed: Outcome | None = None


def run_check(
    exercise: Exercise, candidate: Any, seed: int | None = None, seconds: float | None = None
) -> CheckResult:
    """Try `candidate` on the exercise's cases; never raises whatever the answer does.

    seed: repeats the inputs of an earlier check; a fresh one otherwise. seconds: for all cases,
    TIME_LIMIT unless given.

    Raises:
        ValueError: the seed is not a whole number from 0 on.
        time_limit.Interrupted: the person interrupted the kernel.
    """
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    if not isinstance(seed, int) or seed < 0:
        raise ValueError(f"The seed {seed!r} is none; take the number that a verdict showed.")
    seconds = TIME_LIMIT if seconds is None else seconds

    def result(status: str, message: str, **more: Any) -> CheckResult:
        return CheckResult(
            exercise.name, exercise.title, status, message, seed=seed, hints=exercise.hints, **more
        )

    if problem := wording.wrong_kind(exercise, candidate):
        return result("wrong", problem)
    if source.is_untouched(exercise.name, candidate):
        return result("not started", wording.invitation(exercise))
    namespace = _namespace(candidate)
    findings = _Findings()
    case = ""

    def work() -> None:
        nonlocal case
        _try_cases(exercise, candidate, namespace, seed, findings)
        case = wording.case_text(exercise, findings.failed) if findings.failed else ""

    notebook = sys.stdout  # not stderr: nbgrader gives nothing for a cell that writes there
    with protected(namespace, exercise.uses_randomness) as observed:
        try:
            run_limited(work, seconds, functools.partial(wording.say_stuck, notebook))
        except TimeIsUp:
            findings.message = findings.message or wording.out_of_time(seconds)
            if not case and findings.under_way:
                case = wording.case_text(exercise, Outcome(findings.under_way))
    message = findings.message or wording.changes(observed.changes)
    if findings.failed and findings.failed.returned and findings.failed.got is None:
        message += wording.nothing_returned(printed=bool(observed.printed_total))
    return result(
        "wrong" if message else "right",
        wording.sentence(message or wording.passed(findings.tried)),
        case=wording.plain(case),
        checks=findings.tried,
        aside=wording.plain(wording.aside(observed, findings.failed)),
    )


def _namespace(candidate: Any) -> dict[str, Any]:
    """The global names that the candidate's code sees."""
    function = source.own_function(candidate)
    if function is not None:
        return function.__globals__
    module = sys.modules.get(getattr(candidate, "__module__", "")) or sys.modules["__main__"]
    return vars(module)


def _try_cases(
    exercise: Exercise,
    candidate: Any,
    namespace: dict[str, Any],
    seed: int,
    findings: _Findings,
) -> None:
    """Try every case and note the first failure, or the mistake that explains them all."""
    outcomes = []
    for case in exercise.cases(np.random.default_rng(seed)):
        findings.under_way = case
        outcome = _try_case(exercise, candidate, case, namespace)
        outcomes.append(outcome)
        findings.tried += 1
        if outcome.problem and findings.failed is None:
            findings.failed, findings.message = outcome, outcome.problem
    if findings.failed:
        findings.message = _recognised(exercise, outcomes) or findings.message


def _try_case(exercise: Exercise, candidate: Any, case: Case, namespace: dict[str, Any]) -> Outcome:
    """Call the answer on copies of the arguments and note what is wrong with what it did."""
    arguments = copy.deepcopy(case.args)
    name = getattr(candidate, "__name__", exercise.reference.__name__)
    missing = object()
    before = namespace.get(name, missing)
    # A decorated name is not bound yet while its decorator runs: an answer that calls itself, or
    # a class that names itself in `super`, would find nothing, or an earlier answer.
    namespace[name] = candidate
    try:
        with memory.limited(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            got = case.call(candidate, *arguments) if case.call else candidate(*arguments)
        warned = tuple(str(warning.message) for warning in caught)
    except (TimeIsUp, Interrupted):
        raise
    except BaseException as error:  # also SystemExit: the kernel outlives every answer
        return Outcome(case, problem=wording.error(error, exercise, candidate, case))
    finally:
        if before is missing:
            namespace.pop(name, None)
        else:
            namespace[name] = before
    if type(got) is types.CoroutineType:
        got.close()  # else Python complains in the notebook that nobody awaited it
    problem = _wrong_result(exercise, case, arguments, got)
    return Outcome(case, got, True, problem or "", warned)


def _wrong_result(
    exercise: Exercise, case: Case, arguments: tuple[Any, ...], got: Any
) -> str | None:
    """What is wrong with the result, or with the arguments that the call has left behind."""
    try:
        if problem := _changed_argument(exercise, case, arguments):
            return problem
        return case.judge(got) if case.judge else compare.difference(got, case.expected)
    except (TimeIsUp, Interrupted):
        raise
    except BaseException as error:  # to compare runs the result's own methods, such as __eq__
        kind, reason = values.kind(got), values.kind(error)
        return f"it returned a value of type {kind} that cannot be compared ({reason})."


def _changed_argument(exercise: Exercise, case: Case, arguments: tuple[Any, ...]) -> str | None:
    for position, (before, after) in enumerate(zip(case.args, arguments, strict=True)):
        if position in case.may_change or not compare.is_comparable(before):
            continue
        if compare.difference(after, before):
            name = wording.argument_names(exercise, case)[position]
            return (
                f"it changed its argument `{name}` in place; work on a new array and leave what "
                "you were given as it is."
            )
    return None


def _recognised(exercise: Exercise, outcomes: list[Outcome]) -> str | None:
    """What to say where the answer behaves just like a mistake that is known."""
    if not any(outcome.problem and outcome.returned for outcome in outcomes):
        return None
    for mistake in exercise.mistakes:
        if all(_behaves_alike(mistake, outcome) for outcome in outcomes):
            return mistake.message
    return None


def _behaves_alike(mistake: Mistake, outcome: Outcome) -> bool:
    """Whether the mistake gives the same result on this case, or fails as well."""
    case, arguments = outcome.case, copy.deepcopy(outcome.case.args)
    try:
        with warnings.catch_warnings(action="ignore"):
            result = (
                case.call(mistake.answer, *arguments) if case.call else mistake.answer(*arguments)
            )
        return outcome.returned and compare.difference(outcome.got, result) is None
    except (TimeIsUp, Interrupted):
        raise
    except BaseException:  # a mistake need not survive every input, nor the result a comparison
        return not outcome.returned
