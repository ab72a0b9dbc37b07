"""A lesson in a real browser: JupyterLab as `make lab` starts it, driven in Chromium."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from course import lab, progress

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
LESSON = "00_start_here.ipynb"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
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
ANSWER = "return (pixels / 255).astype(np.float32)"
PATIENCE = 60_000  # milliseconds: the machine may be busy with other tests

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture
def page(tmp_path, monkeypatch) -> Iterator[Page]:
    """The first lesson, open in JupyterLab in a new folder."""
    for name in ("COURSE_DATA", "COURSE_STRICT", "COURSE_RECORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COURSE_PROFILE", "smoke")
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTERLAB_WORKSPACES_DIR", "JUPYTERLAB_SETTINGS_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "jupyter"))
    folder = tmp_path / "my_course"
    folder.mkdir()
    shutil.copy(NOTEBOOKS / LESSON, folder)
    process, address = lab.start(folder, LESSON, browser=False)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
            page = browser.new_page(viewport={"width": 1200, "height": 1000})
            page.set_default_timeout(PATIENCE)
            expect.set_options(timeout=PATIENCE)
            page.goto(address)
            expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible()
            yield page
            browser.close()
    finally:
        lab.stop(process)


def choose(page: Page, menu: str, entry: str) -> None:
    page.click(f'.lm-MenuBar-itemLabel:text-is("{menu}")')
    page.click(f'.lm-Menu-itemLabel:text-is("{entry}")')


def ran_to_the_end(page: Page) -> None:
    """Wait until the last code cell has its number."""
    last = page.locator(".jp-CodeCell .jp-InputArea-prompt").last
    expect(last).to_have_text(re.compile(r"\[\d+\]:"))
    expect(page.locator(".jp-InputArea-prompt", has_text="[*]")).to_have_count(0)


@needs_chromium
def test_a_student_runs_a_lesson_answers_an_exercise_and_keeps_the_progress(page):
    choose(page, "Run", "Run All Cells")
    ran_to_the_end(page)
    expect(page.get_by_text("Would you like to get notified")).to_have_count(0)
    expect(page.locator('[data-mime-type="application/vnd.jupyter.stderr"]')).to_have_count(0)
    expect(page.locator('[data-mime-type="application/vnd.jupyter.error"]')).to_have_count(0)
    pictures = page.locator(".jp-RenderedImage img")
    assert pictures.count() >= 5
    assert pictures.first.evaluate("image => image.complete && image.naturalWidth > 300")

    cell = page.locator(".jp-CodeCell", has_text='@exercise("start.to_unit_range")').first
    verdict = cell.locator(".jp-OutputArea-output")
    expect(verdict).to_contain_text("not started")
    expect(cell.locator("details").first).not_to_have_attribute("open", "")
    cell.locator(".cm-line", has_text="raise NotImplementedError").click()
    page.keyboard.press("End")
    page.keyboard.press("Shift+Home")
    page.keyboard.type(ANSWER)
    page.keyboard.press("Shift+Enter")
    expect(verdict).to_contain_text("right")
    expect(verdict).to_contain_text("Lesson 00: 1 of 5 exercises done")

    choose(page, "Kernel", "Restart Kernel…")
    page.click('.jp-Dialog button:has-text("Restart")')
    assert progress.passed() == {"start.to_unit_range"}
