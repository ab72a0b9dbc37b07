"""Lessons and pages in a real browser: JupyterLab as `make lab` starts it, driven in Chromium.

Screenshots go to test-artifacts/, or to the folder in COURSE_TEST_ARTIFACTS.
"""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from artifacts import artifacts_folder
from playwright.sync_api import (
    Browser,
    Error,
    Locator,
    Page,
    Playwright,
    expect,
    sync_playwright,
)
from test_run import a_run

from course import lab, progress, progress_page
from course.running import report_page

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
LESSON = "00_start_here.ipynb"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# What Playwright itself looks for where none of these is on the path, as on macOS and Windows.
CHANNELS = ("chrome", "msedge", "chromium")
# The browser itself must not look for anything outside this machine.
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 120_000  # milliseconds: the machine may be busy with other tests
WIDE, PHONE = {"width": 1200, "height": 1000}, {"width": 390, "height": 844}


def launch(playwright: Playwright) -> Browser:
    """Start Chromium; where there is none, the test is skipped, and fails in CI."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found:
        return playwright.chromium.launch(executable_path=found, args=SWITCHES)
    for channel in CHANNELS:
        try:
            return playwright.chromium.launch(channel=channel, args=SWITCHES)
        except Error:
            continue
    reason = "there is no Chromium, Chrome or Edge on this machine"
    if os.environ.get("CI", "") not in ("", "0", "false"):
        pytest.fail(f"{reason}, and CI must have one")
    pytest.skip(reason)


class NoBrowser:
    """Stands in for Playwright on a machine without any browser."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.chromium = self

    def launch(self, channel, args):
        self.asked.append(channel)
        raise Error("not found")


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_without_a_browser_ci_fails_and_other_machines_skip(ci, outcome, monkeypatch):
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("PATH", "")
    machine = NoBrowser()
    with pytest.raises(outcome, match="no Chromium, Chrome or Edge on this machine"):
        launch(machine)
    assert machine.asked == list(CHANNELS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests here."""
    with sync_playwright() as playwright:
        started = launch(playwright)
        expect.set_options(timeout=PATIENCE)
        yield started
        started.close()


@dataclass
class Watched:
    """A page, what it asked for and what it complained about."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda line: self.complaints.append(line.text) if line.type == "error" else None,
        )

    def elsewhere(self, home: str) -> list[str]:
        """Addresses asked for that do not begin with `home` and are not inside the page."""
        own = (home, "data:", "blob:")
        return [url for url in self.requests if not url.startswith(own)]

    def keep(self, name: str, **options: bool) -> None:
        """Keep a picture of the page."""
        self.page.screenshot(path=artifacts_folder() / f"{name}.png", **options)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Iterator[Path]:
    """A folder with the environment of a person who has just begun."""
    folder = tmp_path_factory.mktemp("student")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("COURSE_DATA", "COURSE_STRICT", "COURSE_RECORD"):
            patch.delenv(name, raising=False)
        patch.setenv("COURSE_PROFILE", "smoke")
        patch.setenv("COURSE_HOME", str(folder / "home"))
        patch.setenv("OMP_NUM_THREADS", "1")
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTERLAB_WORKSPACES_DIR", "JUPYTERLAB_SETTINGS_DIR"):
            patch.setenv(name, str(folder / "jupyter"))
        yield folder


@pytest.fixture(scope="module")
def address(home, browser) -> Iterator[str]:
    """Where the first lesson opens in a JupyterLab of its own."""
    folder = home / "my_course"
    folder.mkdir()
    shutil.copy(NOTEBOOKS / LESSON, folder)
    process, address = lab.start(folder, LESSON, browser=False)
    yield address
    lab.stop(process)


@pytest.fixture
def student(home, address, browser, request) -> Iterator[Watched]:
    """A new copy of the first lesson, open in JupyterLab, with nothing solved."""
    progress.path().unlink(missing_ok=True)
    copy = f"{request.node.name}.ipynb"
    shutil.copy(NOTEBOOKS / LESSON, home / "my_course" / copy)
    watched = Watched(browser.new_page(viewport=WIDE))
    # Without `reset` the tabs of an earlier test would open as well.
    watched.page.goto(f"{address.replace(LESSON, copy)}&reset")
    expect(watched.page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible()
    yield watched
    assert watched.elsewhere(address.partition("/lab")[0]) == []
    watched.page.close()


def choose(page: Page, menu: str, entry: str) -> None:
    page.click(f'.lm-MenuBar-itemLabel:text-is("{menu}")')
    page.click(f'.lm-Menu-itemLabel:text-is("{entry}")')


def run_all(page: Page) -> None:
    """Run every cell and wait until the last one has its number."""
    choose(page, "Run", "Run All Cells")
    last = page.locator(".jp-CodeCell .jp-InputArea-prompt").last
    expect(last).to_have_text(re.compile(r"\[\d+\]:"))
    expect(page.locator(".jp-InputArea-prompt", has_text="[*]")).to_have_count(0)


def exercise(page: Page, name: str) -> Locator:
    return page.locator(".jp-CodeCell", has_text=f'@exercise("{name}")').first


def answer(page: Page, cell: Locator, old: str, new: str) -> None:
    """Replace the line with `old` by `new` and run the cell."""
    cell.locator(".cm-line", has_text=old).click()
    page.keyboard.press("End")
    page.keyboard.press("Shift+Home")
    page.keyboard.type(new)
    page.keyboard.press("Shift+Enter")


def test_a_student_runs_a_lesson_errs_solves_and_keeps_the_progress(student):
    page = student.page
    student.keep("lesson-opened")
    run_all(page)
    expect(page.get_by_text("Would you like to get notified")).to_have_count(0)
    expect(page.locator('[data-mime-type="application/vnd.jupyter.stderr"]')).to_have_count(0)
    expect(page.locator('[data-mime-type="application/vnd.jupyter.error"]')).to_have_count(0)
    pictures = page.locator(".jp-OutputArea-output img")
    assert pictures.count() >= 5
    assert all(picture.get_attribute("alt") for picture in pictures.all())
    picture = page.get_by_role("img", name="Twenty handwritten digits: 20 pictures")
    assert picture.evaluate("image => image.complete && image.naturalWidth > 300")
    picture.scroll_into_view_if_needed()
    student.keep("lesson-plot")

    cell = exercise(page, "start.to_unit_range")
    verdict = cell.locator(".jp-OutputArea-output")
    expect(verdict).to_contain_text("not started")
    hint = cell.locator("details", has_text="Hint 1 of").first
    expect(hint).not_to_have_attribute("open", "")
    cell.scroll_into_view_if_needed()
    student.keep("exercise-not-started")

    answer(page, cell, "raise NotImplementedError", "return pixels")
    expect(verdict).to_contain_text("not yet")
    expect(verdict).to_contain_text("The smallest case that fails")
    inside = hint.locator("> div")
    expect(inside).to_be_hidden()
    hint.locator("> summary").click()
    expect(inside).to_be_visible()
    student.keep("exercise-wrong-with-hint")

    answer(page, cell, "return pixels", "return (pixels / 255).astype(np.float32)")
    expect(verdict).to_contain_text("right")
    expect(verdict).to_contain_text("Lesson 00: 1 of 5 exercises done")
    student.keep("exercise-right")

    choose(page, "Kernel", "Restart Kernel and Run All Cells…")
    page.click('.jp-Dialog button:has-text("Restart")')
    expect(verdict).to_have_count(0)  # what was shown is gone, what was solved is not
    expect(verdict).to_contain_text("right")
    expect(verdict).to_contain_text("Lesson 00: 1 of 5 exercises done")
    assert progress.passed() == {"start.to_unit_range"}
    assert [entry["passed"] for entry in progress.attempts()] == [False, True, True]

    page.locator(".jp-MarkdownCell").last.click()
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    page.keyboard.type("!course progress")
    page.keyboard.press("Shift+Enter")
    shown = page.locator(".jp-CodeCell", has_text="!course progress").locator(".jp-OutputArea")
    expect(shown).to_contain_text(re.compile(r"\b1 of \d+ exercises solved"))
    expect(shown).to_contain_text("✔ right")
    shown.scroll_into_view_if_needed()
    student.keep("progress-after-restart")


def selected(page: Page) -> Locator:
    return page.locator(".jp-Notebook .jp-Cell.jp-mod-active")


def press_until_focused(page: Page, key: str, wanted: Locator) -> None:
    """Walk over what can be focused, as a person does who looks where the frame is."""
    for _ in range(10):
        page.keyboard.press(key)
        if wanted.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"{key} does not lead there")


def test_a_lesson_can_be_worked_through_with_the_keyboard_alone(student):
    page = student.page
    expect(selected(page)).to_have_count(1)
    for _ in range(60):
        if '@exercise("start.to_unit_range")' in selected(page).inner_text():
            break
        page.keyboard.press("Shift+Enter")
    cell = exercise(page, "start.to_unit_range")
    expect(cell).to_have_class(re.compile("jp-mod-active"))
    page.keyboard.press("Shift+Enter")
    verdict = cell.locator(".jp-OutputArea-output")
    expect(verdict).to_contain_text("not started")
    page.keyboard.press("ArrowUp")  # Shift + Enter has gone on to the next cell
    hint = cell.locator("details", has_text="Hint 1 of").first
    press_until_focused(page, "Tab", hint.locator("> summary"))
    page.keyboard.press("Enter")
    expect(hint.locator("> div")).to_be_visible()
    student.keep("keyboard-hint")

    press_until_focused(page, "Shift+Tab", cell)
    page.keyboard.press("Enter")
    page.keyboard.press("Control+End")
    page.keyboard.press("Shift+Home")
    page.keyboard.type("return (pixels / 255).astype(np.float32)")
    page.keyboard.press("Shift+Enter")
    expect(verdict).to_contain_text("right")
    student.keep("keyboard-right")
    assert progress.passed() == {"start.to_unit_range"}


@pytest.fixture
def pages(home) -> dict[str, Path]:
    """The pages that the course writes, with something of every kind on them."""
    progress.path().unlink(missing_ok=True)
    for name, right in (("start.to_unit_range", True), ("start.flatten", False)):
        progress.record(name, right)
    progress_page.write(home / "progress.html")
    folder = home / "run"
    folder.mkdir(exist_ok=True)
    (folder / "01_mlp.ipynb").touch()
    runs = [
        a_run(test_accuracy=(0.9431, 0.951, 0.972), loss=(0.3, None, None)),
        a_run("02_training_well", rare_class_f1=(0.81, 0.78, 0.84)),
        a_run("03_resnet", error="Cell [2]: KeyError: 'a_name_that_is_quite_long_' * 9"),
    ]
    return {"progress": home / "progress.html", "report": report_page.write(folder, runs, 3)}


@pytest.mark.parametrize(
    ("viewport", "scheme"), [(WIDE, "light"), (PHONE, "dark")], ids=["wide-light", "phone-dark"]
)
@pytest.mark.parametrize("name", ["progress", "report"])
def test_a_page_stands_alone_and_fits_the_screen(name, viewport, scheme, pages, browser, home):
    watched = Watched(browser.new_page(viewport=viewport, color_scheme=scheme))
    page, address = watched.page, pages[name].as_uri()
    page.goto(address)
    watched.keep(f"{name}-{viewport['width']}-{scheme}", full_page=True)
    assert watched.requests == [address]
    assert watched.complaints == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.get_by_role("heading", level=2).count() >= 3
    if name == "report":
        gauges = page.get_by_role("img")
        assert gauges.count() == 2
        assert gauges.first.bounding_box()["width"] > 100
        expect(page.locator("tbody tr")).to_have_count(3)
    assert faint_texts(page) == []
    page.close()


def test_the_map_is_walked_with_the_keyboard_and_printed(pages, browser):
    watched = Watched(browser.new_page(viewport=PHONE))
    page = watched.page
    page.goto(pages["progress"].as_uri())
    links = page.get_by_role("link")
    for number in range(links.count()):
        page.keyboard.press("Tab")
        expect(links.nth(number)).to_be_focused()
    target = links.last.get_attribute("href").removeprefix("#")
    page.keyboard.press("Enter")
    expect(page.locator(f'[id="{target}"]')).to_be_in_viewport()
    page.emulate_media(media="print")
    watched.keep("progress-print", full_page=True)
    page.close()


def faint_texts(page: Page) -> list[str]:
    """Texts whose contrast with what is behind them is less than WCAG's 4.5 to 1."""
    return page.evaluate("""() => {
        const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
        const light = ([r, g, b]) => [r, g, b]
            .map(c => c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4)
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
        const behind = element => {
            const colour = numbers(getComputedStyle(element).backgroundColor);
            return colour.length === 4 && colour[3] === 0
                ? element.parentElement ? behind(element.parentElement) : [255, 255, 255]
                : colour;
        };
        const faint = [];
        const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (texts.nextNode()) {
            const text = texts.currentNode.data.trim();
            const element = texts.currentNode.parentElement;
            if (!text || element.closest("svg")) continue;
            const a = light(numbers(getComputedStyle(element).color));
            const b = light(behind(element));
            const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            if (contrast < 4.5) faint.push(`${text}: ${contrast.toFixed(2)}`);
        }
        return faint;
    }""")
