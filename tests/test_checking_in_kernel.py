"""Exercises typed into a real kernel as a student would type them: verdict, and what is bound.

What could harm a kernel is tried in test_engine_in_kernel.py.
"""

import html
import os
import re
from pathlib import Path

import pytest

pytest.importorskip("torch")
manager = pytest.importorskip("jupyter_client.manager")

ROOT = Path(__file__).resolve().parent.parent
FIRST_CELL = """
import os, random, sys, time
import numpy as np
import torch
from torch import nn
from course.checking import engine
from course.exercises import exercise
engine.TIME_LIMIT = {seconds}
"""


class Kernel:
    """A running kernel: `run` executes a cell and says everything that it put out."""

    def __init__(self, home: Path) -> None:
        from jupyter_client.kernelspec import KernelSpecManager

        # Without folders to look in, the only kernel there is runs on this very interpreter.
        spec = KernelSpecManager(kernel_dirs=[])
        self.manager = manager.KernelManager(kernel_name="python3", kernel_spec_manager=spec)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("COURSE_", "NBGRADER_"))}
        self.manager.start_kernel(cwd=str(home), env={**kept, "COURSE_HOME": str(home)})
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, cell: str, timeout: float = 30) -> str:
        outputs = []

        def note(message):
            content = message["content"]
            if message["msg_type"] == "stream":
                outputs.append(content["text"])
            elif message["msg_type"] in ("display_data", "execute_result"):
                data = content["data"]
                outputs.append(data.get("text/html") or data["text/plain"])
            elif message["msg_type"] == "error":
                outputs.append(f"{content['ename']}: {content['evalue']}")

        self.client.execute_interactive(
            cell, timeout=timeout, output_hook=note, allow_stdin=False, store_history=True
        )
        # The verdict's mark-up goes, and the words of the student's page stay.
        return html.unescape(re.sub(r"<[^>]+>", "", "\n".join(outputs)))

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    kernel = Kernel(tmp_path_factory.mktemp("home"))
    try:
        assert kernel.run(FIRST_CELL.format(seconds=2), timeout=60) == ""
        yield kernel
        assert kernel.run("1 + 1") == "2"
        assert kernel.manager.is_alive()
    finally:
        kernel.close()


def relu(*body):
    lines = "\n    ".join(body)
    return f'@exercise("mlp.relu")\ndef relu(z):\n    """The task."""\n    {lines}\n'


RIGHT = "return np.maximum(z, 0)"
ANSWERS = [
    ((RIGHT,), "✔ right mlp.relu:"),
    (("raise NotImplementedError",), "○ not started mlp.relu:"),
    (("y = z", "raise NotImplementedError"), "is still raise NotImplementedError"),
    (("return 1 / 0",), "in line 4 (return 1 / 0) with ZeroDivisionError"),
    (("return np.abs(z)",), "you took the absolute value"),
    (("time.sleep(10**6)",), "stopped after 2 seconds"),
    (("raise ValueError('<script>')",), "ValueError: <script>"),
]


@pytest.mark.parametrize(("body", "words"), ANSWERS)
def test_a_student_s_answer_gets_its_line_and_the_kernel_goes_on(kernel, body, words):
    shown = kernel.run(relu(*body))
    assert words in shown
    assert "Traceback" not in shown
    # A right answer or the course's own is bound, and nothing arrives late.
    assert kernel.run("import time; time.sleep(0.1); relu(np.array([-1.0, 2.0])).tolist()") == (
        "[0.0, 2.0]"
    )


STUB = '''
@exercise("mlp.MLP")
class MLP(nn.Module):
    """A docstring of the student's own."""

    def __init__(self, sizes):
        super().__init__()  # and a comment
        raise NotImplementedError

    def forward(self, x):

        raise NotImplementedError
'''
CLASS = """
@exercise("mlp.MLP")
class MLP(nn.Module):
    def __init__(self, sizes):
        super(MLP, self).__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return self.layers[-1](x)
"""


def test_a_class_typed_into_the_notebook_is_recognised_as_untouched_or_right(kernel):
    assert "○ not started mlp.MLP:" in kernel.run(STUB)
    assert kernel.run("MLP.__module__") == "'course.models.mlp'"
    assert "✔ right mlp.MLP:" in kernel.run(CLASS)
    assert kernel.run("MLP.__module__") == "'__main__'"


def test_a_wrong_answer_that_calls_itself_does_not_pass_through_the_one_bound_before(kernel):
    kernel.run(relu(RIGHT))
    for _ in range(2):
        assert "calls itself without end" in kernel.run(relu("return relu(z)"))
