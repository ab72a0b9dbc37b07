"""One process at a time works on an environment."""

import subprocess
import sys
import threading

import pytest

from course.locking import only_one

HOLD = """
import pathlib, sys, time
from course.locking import only_one
with only_one(pathlib.Path(sys.argv[1]), "WAITING"):
    print("HELD", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, encoding="utf-8"
    )
    assert process.stdout.readline() == "HELD\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_says_so_and_waits_until_the_first_is_gone(holder, tmp_path, capsys):
    got_it = threading.Event()

    def enter():
        with only_one(tmp_path, "another one is at it"):
            got_it.set()

    thread = threading.Thread(target=enter)
    thread.start()
    assert not got_it.wait(0.5)
    holder.kill()  # without a chance to tidy up
    assert got_it.wait(5)
    thread.join()
    assert capsys.readouterr().err == "another one is at it\n"


def test_another_folder_is_free_and_a_lock_ends_with_its_block(holder, tmp_path, capsys):
    for _ in range(2):
        with only_one(tmp_path / "other", "another one is at it"):
            pass
    assert capsys.readouterr().err == ""
