"""The command line: `course lab | run | doctor | test | data | progress | build`.

Nothing heavy is imported before a command needs it, so that `course --help` answers at once.
"""

import argparse
import sys
from pathlib import Path

from course import __version__

DESCRIPTION = """\
Foundation models, hands on: a course of notebooks that check your code at once.

  student      course lab              open the course in JupyterLab (start here)
  instructor   course run              run every lesson on this machine: time, memory, results
               course doctor           is this machine ready, and if not, what to do
               course data bundle DIR  what to bring to a room without a network
  maintainer   course test             everything that CI runs
               course build            lessons/ -> notebooks/ and solutions/

In a fresh clone type `python -m course ...` (or `make lab`, `make run`, `make test`): it first
makes the environment .venv, once."""


def main(argv: list[str] | None = None) -> int:
    """Run one command; its exit status: 0 is good, 1 a failure, 2 a mistake in the command."""
    from course.problem import Problem

    sys.stdout.reconfigure(errors="replace")  # a console that cannot print 课程 shows ?? instead
    arguments = parser().parse_args(argv)
    try:
        return arguments.action(arguments)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        if error.name.partition(".")[0] == "course":
            raise
        print(
            f"This Python ({sys.executable}) lacks the package {error.name!r}: run "
            f"`python -m course {arguments.command}` in the clone, which installs what is needed.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """The commands, each with an example."""
    top = argparse.ArgumentParser(
        prog="course",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="`course COMMAND --help` shows a command's choices and an example.",
    )
    top.add_argument("--version", action="version", version=f"course {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", dest="command", required=True)
    add_lab(commands)
    add_run(commands)
    add_doctor(commands)
    add_test(commands)
    add_data(commands)
    add_progress(commands)
    add_build(commands)
    return top


def add_command(commands, name: str, summary: str, example: str) -> argparse.ArgumentParser:
    """A sub-command whose help shows what it does and an example."""
    return commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_lab(commands) -> None:
    command = add_command(
        commands,
        "lab",
        "lay the lessons into my_course/, never over your work, and open JupyterLab there",
        "course lab --no-browser      print the address, open nothing",
    )
    command.add_argument("--no-browser", action="store_true", help="only print the address")

    def action(arguments: argparse.Namespace) -> int:
        from course.lab import lab

        return lab(browser=not arguments.no_browser)

    command.set_defaults(action=action)


def add_run(commands) -> None:
    command = add_command(
        commands,
        "run",
        "run lessons on this machine as they are and report time, memory and results",
        "course run 01 --profile smoke      lesson 01, small and quick",
    )
    command.add_argument("lessons", nargs="*", metavar="LESSON", help="such as 01; default: all")
    command.add_argument("--profile", choices=("smoke", "cpu", "gpu"), help="default: by machine")
    command.add_argument(
        "--measure", action="store_true", help="maintainers: write course/expected.toml anew"
    )
    command.add_argument(
        "--like-binder", action="store_true", help="on one core, with the memory that Binder gives"
    )
    command.add_argument("--seeds", type=int, default=5, help="with --measure: runs per lesson")

    def action(arguments: argparse.Namespace) -> int:
        from course.run import run

        return run(
            arguments.lessons,
            arguments.profile,
            arguments.measure,
            arguments.seeds,
            arguments.like_binder,
        )

    command.set_defaults(action=action)


def add_doctor(commands) -> None:
    command = add_command(
        commands,
        "doctor",
        "say whether this machine is ready for the lessons, and what to do where it is not",
        "course doctor --json > seat-07.json      for an instructor who collects them in a folder\n"
        "  course doctor --collect FOLDER           a table of all that were collected\n"
        "  from course.doctor import doctor; doctor()     the same page in a notebook",
    )
    command.add_argument("--json", action="store_true", help="for programs; names no person")
    command.add_argument(
        "--collect", type=Path, metavar="FOLDER", help="show the --json files in FOLDER as a table"
    )

    def action(arguments: argparse.Namespace) -> int:
        from course import doctor

        if arguments.collect:
            return doctor.collect(arguments.collect)
        return doctor.doctor(arguments.json)

    command.set_defaults(action=action)


def add_test(commands) -> None:
    command = add_command(
        commands,
        "test",
        "run everything that CI runs",
        "course test -- -k mlp      what follows -- goes to pytest",
    )
    command.add_argument("pytest", nargs="*", metavar="PYTEST", help="more words for pytest")

    def action(arguments: argparse.Namespace) -> int:
        from course.testing import test

        return test(arguments.pytest)

    command.set_defaults(action=action)


def add_data(commands) -> None:
    command = add_command(
        commands, "data", "see, fetch, pack and check the data sets", "course data list"
    )
    actions = command.add_subparsers(metavar="ACTION", dest="data_action", required=True)
    add_command(
        actions, "list", "show each data set and where it would come from", "course data list"
    ).set_defaults(action=list_data)
    for name, summary in (
        ("fetch", "download data sets, verified, for use without a network"),
        ("bundle", "pack data sets into a folder for machines without a network"),
        ("verify", "check the data sets that are on this machine"),
    ):
        example = f"course data {name} {'workshop ' if name == 'bundle' else ''}mnist"
        action = add_command(actions, name, summary, example)
        if name == "bundle":
            action.add_argument("folder", type=Path, metavar="FOLDER", help="where to put them")
        action.add_argument("names", nargs="*", metavar="NAME", help="such as mnist; default: all")
        action.set_defaults(action=work_on_data)


def list_data(arguments: argparse.Namespace) -> int:
    from course.datasets import commands

    return commands.list_sets()


def work_on_data(arguments: argparse.Namespace) -> int:
    from course.datasets import commands

    if arguments.data_action == "bundle":
        return commands.bundle(arguments.folder, arguments.names)
    action = {"fetch": commands.fetch, "verify": commands.verify}[arguments.data_action]
    return action(arguments.names)


def add_progress(commands) -> None:
    command = add_command(
        commands,
        "progress",
        "show which exercises you have solved, or take the record to another machine",
        "course progress --html      a map of the course, in the browser",
    )
    choice = command.add_mutually_exclusive_group()
    choice.add_argument(
        "--html",
        metavar="FILE",
        nargs="?",
        const="",
        help="write a map of the course as a page and open it; default: beside the record",
    )
    choice.add_argument(
        "--export", metavar="FILE", type=Path, help="write every attempt to a small file"
    )
    choice.add_argument(
        "--import",
        metavar="FILE",
        type=Path,
        dest="import_",
        help="add such a file to the record here; nothing is lost, twice changes nothing",
    )
    command.set_defaults(action=work_on_progress)


def work_on_progress(arguments: argparse.Namespace) -> int:
    from course import progress

    if arguments.html is not None:
        from course import progress_page

        return progress_page.write(Path(arguments.html) if arguments.html else None)
    if arguments.export is not None:
        progress.export(arguments.export)
    elif arguments.import_ is not None:
        progress.import_(arguments.import_)
    else:
        return progress.show()
    return 0


def add_build(commands) -> None:
    command = add_command(
        commands,
        "build",
        "write notebooks/ and solutions/ from lessons/",
        "course build 01      build lesson 01 where it changed",
    )
    command.add_argument("lessons", nargs="*", metavar="LESSON", help="such as 01; default: all")
    command.add_argument(
        "--check", action="store_true", help="write nothing; fail where something is out of date"
    )
    command.add_argument("--force", action="store_true", help="build what has not changed as well")

    def action(arguments: argparse.Namespace) -> int:
        from course.environment import checkout
        from course.notebooks import build

        return build(checkout(), arguments.check, arguments.lessons, arguments.force)

    command.set_defaults(action=action)


if __name__ == "__main__":
    sys.exit(main())
