"""Dead links inside the repository, and pictures without alternative text."""

import fnmatch
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

from course.publishing.lesson_source import Lesson, Problem

MARKDOWN = MarkdownIt("commonmark").enable("table")
TAG = re.compile(r"<(?:a|img)\b[^>]*>", re.IGNORECASE)
ADDRESS = re.compile(r"""\b(?:href|src)\s*=\s*(["'])(.*?)\1""", re.IGNORECASE)
WORDS_IN_ALT = re.compile(r"""\balt\s*=\s*\\?["']?\s*[^"'\s>\\]""", re.IGNORECASE)
ANCHOR = re.compile(r"""<[^>]*\b(?:id|name)=["']([^"']+)""")
NO_WORDS = "this picture has no alternative text; say in a few words what it shows"


@dataclass(frozen=True)
class Page:
    """A text with links, such as README.md or a lesson.

    Attributes:
        place: its path in the repository, for messages.
        folder: the folder from which a reader's links start, relative to the repository.
        parts: pieces of Markdown, each with the line at which it starts in the file.
    """

    place: str
    folder: str
    is_notebook: bool
    parts: tuple[tuple[int, str], ...]

    def anchors(self) -> set[str]:
        """What the part of a link after # may name on this page."""
        headings = [heading for _, text in self.parts for heading in _headings(text)]
        written = {name for _, text in self.parts for name in ANCHOR.findall(text)}
        if self.is_notebook:
            return written | {heading.replace(" ", "-") for heading in headings}
        seen: Counter[str] = Counter()
        for heading in headings:
            anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            written.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
            seen[anchor] += 1
        return written


def link_problems(root: Path, lessons: Sequence[Lesson]) -> list[Problem]:
    """Dead relative links and pictures without words, in lessons and Markdown files."""
    ignored = _ignored_names(root)
    pages = _markdown_pages(root, ignored) | {
        f"notebooks/{lesson.name}.ipynb": _lesson_page(lesson) for lesson in lessons
    }
    problems = []
    for page in pages.values():
        for line, text in page.parts:
            for offset, address, fault in _addresses(text):
                fault = fault or _dead(root, page, address, pages, ignored)
                if fault:
                    problems.append(Problem(page.place, line + offset, fault))
    return problems + [problem for lesson in lessons for problem in _pictures_in_code(lesson)]


def _lesson_page(lesson: Lesson) -> Page:
    parts = tuple((cell.line, cell.source) for cell in lesson.cells if cell.kind == "markdown")
    return Page(f"lessons/{lesson.path.name}", "notebooks", True, parts)


def _markdown_pages(root: Path, ignored: list[str]) -> dict[str, Page]:
    pages = {}
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not _is_ignored(name, ignored))
        for name in sorted(files):
            if name.endswith(".md"):
                path = Path(folder, name)
                place = path.relative_to(root)
                text = path.read_text(encoding="utf-8")
                page = Page(place.as_posix(), place.parent.as_posix(), False, ((1, text),))
                pages[place.as_posix()] = page
    return pages


def _ignored_names(root: Path) -> list[str]:
    path = root / ".gitignore"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [".git", *(line.strip().strip("/") for line in lines if line[:1] not in ("#", "!", ""))]


def _is_ignored(name: str, ignored: list[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in ignored)


def _dead(
    root: Path, page: Page, address: str, pages: dict[str, Page], ignored: list[str]
) -> str | None:
    """A sentence about the link, or None where it leads somewhere or out of the repository."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return None
    target = page.folder + "/" + page.place.rsplit("/", 1)[-1]
    if page.is_notebook:
        target = target.removesuffix(".py") + ".ipynb"
    if parts.path:
        target = f"{page.folder}/{unquote(parts.path)}"
    target = os.path.normpath(target).replace(os.sep, "/")
    if not _exists(root, target, ignored):
        return f"dead link to {address}: the repository has no {target}"
    known = pages.get(target.replace("solutions/", "notebooks/", 1))
    if parts.fragment and known and unquote(parts.fragment) not in known.anchors():
        return f"dead link to {address}: {known.place} has no such heading"
    return None


def _exists(root: Path, target: str, ignored: list[str]) -> bool:
    """Whether a reader of the repository finds `target` there once everything is built."""
    if any(part == ".." or _is_ignored(part, ignored) for part in target.split("/")):
        return False
    match = re.fullmatch(r"(?:notebooks|solutions)/(\w+)\.ipynb", target)
    return (root / (f"lessons/{match[1]}.py" if match else target)).exists()


def _addresses(text: str) -> Iterator[tuple[int, str, str | None]]:
    """Every link and picture: lines after the text's first, address, fault if it has one."""
    line = 0
    for token in MARKDOWN.parse(text):
        line = token.map[0] if token.map else line
        if token.type == "html_block":
            yield from _addresses_in_html(token.content, line)
        for child in token.children or []:
            if child.type in ("softbreak", "hardbreak"):
                line += 1
            elif child.type == "html_inline":
                yield from _addresses_in_html(child.content, line)
            elif child.type == "link_open":
                yield line, str(child.attrGet("href")), None
            elif child.type == "image":
                yield line, str(child.attrGet("src")), None if child.content.strip() else NO_WORDS


def _addresses_in_html(html: str, line: int) -> Iterator[tuple[int, str, str | None]]:
    for tag in TAG.finditer(html):
        below = html.count("\n", 0, tag.start())
        address = ADDRESS.search(tag[0])
        is_mute = tag[0].lower().startswith("<img") and not WORDS_IN_ALT.search(tag[0])
        if address or is_mute:
            yield line + below, address[2] if address else "", NO_WORDS if is_mute else None


def _pictures_in_code(lesson: Lesson) -> Iterator[Problem]:
    for cell in lesson.cells:
        if cell.kind == "code":
            for offset, _, fault in _addresses_in_html(cell.source, 0):
                if fault:
                    yield Problem(f"lessons/{lesson.path.name}", cell.line + offset, fault)


def _headings(text: str) -> list[str]:
    tokens = MARKDOWN.parse(text)
    return [
        _plain_text(tokens[index + 1])
        for index, token in enumerate(tokens)
        if token.type == "heading_open"
    ]


def _plain_text(inline: Token) -> str:
    parts = [child.content for child in inline.children if child.type in ("text", "code_inline")]
    return "".join(parts)
