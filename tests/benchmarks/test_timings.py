"""What a student waits for stays short: the fastest of a few tries, as machines are noisy.

Seconds of computing are counted, not those by the clock, which depend on what else is running.
"""

import pytest
import timings

LONGEST = 0.3  # seconds


def fastest(action):
    """Seconds of computing of the fastest of a few tries."""
    return min(timings.timed(action, tries=4, clock=timings.processor_seconds))


@pytest.mark.parametrize("name", timings.COMMANDS)
def test_a_command_answers_at_once(name):
    code = timings.COMMANDS[name]
    assert fastest(lambda: timings.run_python(code)) <= LONGEST


@pytest.mark.parametrize("name", timings.exercise_checks())
def test_a_right_answer_is_checked_at_once(name):
    action = timings.exercise_checks()[name]
    assert action().passed
    assert fastest(action) <= LONGEST
