"""The answers that could harm a kernel, typed into a real one as a student would type them."""

import html
import os
import re
import sys
import time
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
        assert kernel.run(FIRST_CELL.format(seconds=0.5), timeout=60) == ""
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
    (("return None",), "returned None"),
    (("yield z",), "a value of type generator"),
    (("return list(np.maximum(z, 0))",), "a list"),
    (("return np.maximum(z, 0)[..., None]",), "has shape"),
    (("return z * np.nan",), "NaN"),
    (("z[z < 0] = 0", "return z"), "changed its argument z in place"),
    (("sys.exit('bye')",), "tried to end the program"),
    (("exit()",), "tried to end the program"),
    (("quit()",), "tried to end the program"),
    (("raise KeyboardInterrupt",), "KeyboardInterrupt"),
    (("input('your name? ')",), "✘ not yet mlp.relu:"),
    (("return relu(z)",), "calls itself without end"),
    (("while True:", "    pass"), "stopped after 0.5 seconds"),
    (("while True:", "    try:", "        z = z + 1", "    except:", "        pass"), "stopped"),
    (("time.sleep(10**6)",), "stopped after 0.5 seconds"),
    (("while True:", "    print('spam' * 1000)"), "more characters"),
    (("random.seed(1)", RIGHT), "the state of random"),
    (("os.chdir('/')", RIGHT), "the working folder"),
    (("torch.set_default_dtype(torch.float64)", RIGHT), "torch's default dtype"),
    (("global engine", "engine = None", RIGHT), "the global name engine"),
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


@pytest.mark.skipif(sys.platform == "win32", reason="interrupts are no signals there")
def test_the_student_s_own_interrupt_ends_a_slow_check_and_leaves_the_kernel_alive(kernel):
    kernel.run("engine.TIME_LIMIT = 20")
    start = time.monotonic()
    message = kernel.client.execute(relu("while True:", "    pass"))
    time.sleep(1)
    kernel.manager.interrupt_kernel()
    reply = kernel.client.get_shell_msg(timeout=15)
    while reply["parent_header"].get("msg_id") != message:
        reply = kernel.client.get_shell_msg(timeout=15)
    assert time.monotonic() - start < 10
    assert reply["content"]["status"] == "error"
    assert reply["content"]["ename"] in ("KeyboardInterrupt", "Interrupted")
    kernel.run("engine.TIME_LIMIT = 0.5")
    assert kernel.run("2 + 3") == "5"
