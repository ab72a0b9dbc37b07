"""What each lesson's exercises must stand up to: wrong answers are turned away, right ones taken.

The tests of a lesson list answers to its exercises, and inherit these tests:

    class TestAnswers(AnswersOfALesson):
        exercises = EXERCISES
        answers = ANSWERS  # {"mlp.relu": {"wrong": [(np.abs, "absolute"), …], "right": […]}, …}
        num_draws = 100
"""

import statistics
import time
from collections.abc import Iterable
from typing import Any

import pytest

from course.checking.engine import Exercise
from course.exercises import check


class AnswersOfALesson:
    """exercises: those of the lesson's module. answers: by an exercise's name, "wrong" ones, each
    beside what its message must contain (words, or a tuple of which one is enough), and "right"
    ones. num_draws: how many draws of the inputs the first right answer has to pass.
    seconds: processor time that a check of it may take.
    """

    exercises: tuple[Exercise, ...]
    answers: dict[str, dict[str, list]]
    num_draws: int
    seconds = 1.0

    def pytest_generate_tests(self, metafunc):
        """One test for each answer, or for each exercise, as the test's arguments ask."""
        wanted = metafunc.fixturenames
        if "words" in wanted:
            metafunc.parametrize(("name", "answer", "words"), self.each("wrong"))
        elif "answer" in wanted:
            metafunc.parametrize(("name", "answer"), self.each("right"))
        elif "name" in wanted:
            metafunc.parametrize("name", self.answers)

    def each(self, kind: str) -> list[Any]:
        """Every wrong, or every right, answer of the lesson, behind its exercise's name."""
        return [
            pytest.param(name, *(answer if kind == "wrong" else [answer]), id=f"{name}-{number}")
            for name, answers in self.answers.items()
            for number, answer in enumerate(answers[kind])
        ]

    def test_a_plausible_mistake_is_rejected_with_a_message_that_helps(self, name, answer, words):
        words = (words,) if isinstance(words, str) else words
        for seed in range(3):
            result = check(name, answer, seed=seed)
            assert result.status == "wrong", str(result)
            assert any(word in result.message for word in words), result.message
            if "it was stopped after" in result.message:
                break  # each draw would take the whole limit

    def test_every_right_answer_is_accepted_however_it_is_written(self, name, answer):
        accept(name, answer, range(3))

    def test_no_draw_of_the_inputs_rejects_a_right_answer(self, name):
        accept(name, self.answers[name]["right"][0], range(100, 100 + self.num_draws))

    def test_the_course_s_own_answer_is_right(self, name):
        (reference,) = (entry.reference for entry in self.exercises if entry.name == name)
        accept(name, reference, range(3))

    def test_a_right_answer_is_checked_in_a_moment(self, name):
        """In processor time, as other programs may be running: the median of five checks."""
        answer, times = self.answers[name]["right"][0], []
        check(name, answer)  # a framework loads its kernels at first use
        for _ in range(5):
            start = time.process_time()
            check(name, answer)
            times.append(time.process_time() - start)
        assert statistics.median(times) < self.seconds, times

    def test_every_exercise_has_enough_wrong_and_right_answers(self):
        assert {exercise.name for exercise in self.exercises} == self.answers.keys()
        for name, answers in self.answers.items():
            assert len(answers["wrong"]) >= 5, f"{name} has too few wrong answers."
            assert len(answers["right"]) >= 2, f"{name} has too few right answers."


def accept(name: str, answer: Any, seeds: Iterable[int]) -> None:
    """Fail the test where one of the seeds shows an answer as wrong or as too slow."""
    for seed in seeds:
        result = check(name, answer, seed=seed)
        assert result.passed, str(result)
