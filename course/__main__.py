"""`python -m course ...` from a bare clone: finds a fitting Python and hands the rest to it.

Only this file must also run on Pythons as old as 2.7, so that they are told what to do instead
of failing with a syntax error: no annotations and no f-strings here.
"""
# ruff: noqa: RUF005, UP031

import os
import re
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 13)
# The exact versions in constraints.txt are tested with 3.11, so it is tried first.
IN_ORDER_OF_CHOICE = ("3.11", "3.12", "3.13")


def main():
    if not fits(sys.version_info[:2]):
        return with_another_python(sys.argv[1:])
    from course import environment

    try:
        python = environment.python_for(sys.argv[1:])
    except environment.Problem as problem:
        say(str(problem))
        return 1
    except KeyboardInterrupt:
        say("\nStopped. The same command goes on from here.")
        return 130
    if python is None:
        from course.cli import main as run

        return run(sys.argv[1:])
    return become([str(python), "-m", "course.cli"] + sys.argv[1:])


def fits(version):
    return OLDEST <= tuple(version) <= NEWEST


def with_another_python(arguments):
    """Run the same command with a Python that fits, or say in one sentence what to install."""
    this = "%d.%d" % sys.version_info[:2]
    for command in candidates():
        version = version_of(command)
        if version and fits(version):
            found = "%s (Python %d.%d)" % ((" ".join(command),) + version)
            say("Python %s does not fit the course; going on with %s." % (this, found))
            return become(command + ["-m", "course"] + arguments)
    say(
        "The course needs Python 3.11, 3.12 or 3.13, and this is Python %s (%s): install one of "
        "them from python.org or with your system's packages, then run the same command again."
        % (this, sys.executable)
    )
    return 1


def candidates():
    if os.name == "nt":
        return [["py", "-" + version] for version in IN_ORDER_OF_CHOICE] + [["python"]]
    return [["python" + version] for version in IN_ORDER_OF_CHOICE] + [["python3"], ["python"]]


def version_of(command):
    """(3, 12), or None: pyenv and Windows put up names behind which no Python starts."""
    program = "import sys; sys.stdout.write('%d.%d' % sys.version_info[:2])"
    try:
        process = subprocess.Popen(
            command + ["-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except OSError:
        return None
    answer = re.match("([0-9]+)[.]([0-9]+)$", process.communicate()[0].decode("ascii", "replace"))
    return tuple(int(part) for part in answer.groups()) if answer else None


def become(command):
    """Run a command in place of this process; Windows cannot, so wait there: its exit status."""
    sys.stdout.flush()
    if os.name == "posix":
        os.execvp(command[0], command)
    process = subprocess.Popen(command)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the process has had it too, and answers
            continue


def say(sentence):
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
