"""What a student waits for stays short: the fastest of a few tries, as machines are noisy."""

import pytest
import timings

LONGEST = 0.3  # seconds


@pytest.mark.parametrize("name", timings.COMMANDS)
def test_a_command_answers_at_once(name):
    code = timings.COMMANDS[name]
    assert min(timings.timed(lambda: timings.run_python(code), tries=4)) <= LONGEST


@pytest.mark.parametrize("name", timings.exercise_checks())
def test_a_right_answer_is_checked_at_once(name):
    action = timings.exercise_checks()[name]
    assert action().passed
    assert min(timings.timed(action, tries=4)) <= LONGEST
