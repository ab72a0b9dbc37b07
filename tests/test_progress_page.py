"""The map of the course: right numbers, words for everything, nothing from elsewhere."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from course import catalog, cli, progress, progress_page
from course.problem import Problem


def lesson(name: str, title: str, *minutes: int) -> catalog.Lesson:
    stem = name[3:]
    exercises = (
        catalog.Exercise(
            f"{stem}.{n}", f"Task {n} of {stem}", minutes=minute, difficulty=1, stub=""
        )
        for n, minute in enumerate(minutes)
    )
    return catalog.Lesson(name, title, tuple(exercises))


LESSONS = (
    lesson("00_start", "00 · Start", 5, 10),
    lesson("01_mlp", "01 · Digits & <more>", 30, 40),
    lesson("01_mlp_tensorflow", "01 · Digits in TensorFlow", 20),
    lesson("12_small", "12 · Small", 60),
    lesson("18_talk", "18 · No exercise"),
)


@pytest.fixture(autouse=True)
def course(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(catalog, "lessons", lambda: LESSONS)
    monkeypatch.setattr(progress_page, "has_display", lambda: False)


class Page(HTMLParser):
    """What a test asks of a page; checks that every element is closed."""

    VOID = ("meta", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.ids, self.links, self.headings, self.words = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        assert "src" not in attributes and tag not in ("script", "link", "img")
        if tag not in self.VOID:
            self.open.append(tag)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if "href" in attributes:
            self.links.append(attributes["href"])
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.words.append(data)


def test_each_exercise_has_its_state_in_words_and_the_numbers_add_up():
    for name, right in (("start.0", True), ("start.1", False), ("mlp.0", True), ("mlp.1", False)):
        progress.record(name, right)
    progress.record("mlp.1", False)
    progress.record("gone.0", True)
    page = Page(progress_page.page())
    for words in (
        "2 of 6 exercises solved",
        "lessons complete 0 of 4",
        "tried, not yet right 2",
        "left to do, about 2 h 10 min",
        "Task 0 of start ✔ solved 5 min",
        "Task 1 of start ◐ tried once 10 min",
        "Task 1 of mlp ◐ tried 2 times 40 min",
        "Task 0 of small ○ open 1 h",
        "01 · Digits & <more> 1 of 2 solved · about 40 min left",
        "◐ 01 · Digits & <more>, 1 of 2",
        "○ 12 · Small, 0 of 1",
    ):
        assert words in page.text
    # Only parts that have lessons, only lessons that have exercises.
    assert (
        re.findall(r"Part \d · \w+", page.text)
        == [
            "Part 1 · Foundations",
            "Part 2 · Engineering",
        ]
        * 2
    )
    assert "18 · No exercise" not in page.text


@pytest.mark.parametrize(
    ("solved", "tried", "expected"),
    [
        ((), (), "Task 0 of start , about 5 min An"),
        ((), ("small.0",), "Task 0 of small , about 1 h · ◐ tried once An"),
        (("start.0",), (), "Task 1 of start , about 10 min An"),
        # The lesson last worked on is done: back to the first one that is not.
        (("small.0",), (), "Task 0 of start , about 5 min An"),
        # A lesson in the other framework is offered only when nothing else is left.
        (("start.0", "start.1", "mlp.0", "mlp.1"), (), "Task 0 of small , about 1 h An"),
        (
            ("start.0", "start.1", "mlp.0", "mlp.1", "small.0"),
            (),
            "Task 0 of mlp_tensorflow , about 20 min An",
        ),
        (
            ("start.0", "start.1", "mlp.0", "mlp.1", "small.0", "mlp_tensorflow.0"),
            (),
            "You have solved every exercise",
        ),
    ],
)
def test_what_to_do_next_follows_where_the_person_is(solved, tried, expected):
    for name in solved:
        progress.record(name, True)
    for name in tried:
        progress.record(name, False)
    assert f"What to do next {expected}" in Page(progress_page.page()).text


def test_the_page_can_be_read_without_eyes_mouse_and_network():
    text = progress_page.page()
    page = Page(text)
    assert page.headings[:4] == ["h1", "h2", "h2", "h2"] and set(page.headings) == {
        "h1",
        "h2",
        "h3",
    }
    assert len(set(page.ids)) == len(page.ids)
    assert page.links and {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert 'lang="en"' in text and "http" not in text and "url(" not in text
    for rule in ("prefers-color-scheme: dark", "@media print", "a:focus-visible"):
        assert rule in text


def test_the_page_is_written_beside_the_record_and_again_over_itself(capsys):
    place = progress.path().with_name("progress.html")
    assert cli.main(["progress", "--html"]) == 0
    assert str(place) in capsys.readouterr().out
    progress.record("start.0", True)
    assert cli.main(["progress", "--html"]) == 0
    assert "1 of 6 exercises solved" in place.read_text("utf-8")


def test_the_page_opens_where_there_is_a_display(monkeypatch, tmp_path):
    opened = []
    monkeypatch.setattr(progress_page, "has_display", lambda: True)
    monkeypatch.setattr(progress_page.webbrowser, "open", opened.append)
    assert cli.main(["progress", "--html", str(tmp_path / "my page.html")]) == 0
    assert opened == [(tmp_path / "my page.html").as_uri()]
    assert (tmp_path / "my page.html").exists()


def test_a_page_of_somebody_else_is_not_overwritten(tmp_path):
    other = tmp_path / "index.html"
    other.write_text("<p>mine", "utf-8")
    with pytest.raises(Problem, match=r"index\.html is not a page of your progress"):
        progress_page.write(other)
    assert other.read_text("utf-8") == "<p>mine"


@pytest.mark.skipif(sys.platform == "win32", reason="a folder opens as a file only elsewhere")
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "file" / "page.html"):
        with pytest.raises(Problem, match="cannot be written"):
            progress_page.write(Path(place))


@pytest.mark.parametrize(
    ("minutes", "words"), [(0, "0 min"), (59, "59 min"), (60, "1 h"), (125, "2 h 5 min")]
)
def test_minutes_are_said_as_people_say_them(minutes, words):
    assert progress_page.minutes_words(minutes) == words


def test_every_lesson_of_the_course_has_a_part(monkeypatch):
    monkeypatch.undo()
    stops = [stop for _, stops in progress_page._parts(progress_page._stops()) for stop in stops]
    assert [stop.lesson for stop in stops] == list(catalog.lessons())
