"""Whether the addresses of the data sets answer, and whether it is they who answer."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from urllib.parse import urlsplit

from course.datasets import bundles
from course.datasets.downloads import DataError, mirror_address
from course.datasets.recipes import SETS, Recipe
from course.diagnosis.finding import GOOD, NOTE, Finding, without_folders
from course.diagnosis.packages import named

SECONDS = 5.0  # for all of them together


def data(sets: Mapping[str, Recipe] = SETS) -> Finding:
    """What answers of the bundle, the mirror and the official addresses.

    Never a problem: the lessons run on what is here, the sample at least.
    """
    faults = ask(sizes(sets))
    hosts = {place: [] for place in sorted({place for place, _ in faults})}
    for (place, _), fault in faults.items():
        hosts[place] += [fault] if fault else []
    silent = [f"{place} ({named(why[:1])})" for place, why in hosts.items() if why]
    bundle = bundle_fault()
    facts = {"addresses": {place: (why[0] if why else "answers") for place, why in hosts.items()}}
    facts["bundle"] = bundle
    if not silent and not bundle:
        return Finding(
            "data", GOOD, f"all {len(hosts)} places of the data sets answer", facts=facts
        )
    if len(silent) == len(hosts):
        words = "no place of the data sets answers; lessons use earlier downloads or their samples"
        remedy = "For full data sets go online, or set COURSE_DATA to a bundle."
    else:
        words = f"no good answer from {named(silent)}; the other places are asked instead"
        remedy = "Nothing, as long as one place has each data set; else try again later."
    if any(place == "COURSE_MIRROR" for place, why in hosts.items() if why):
        remedy = "Ask your instructor for the right COURSE_MIRROR, or unset it."
    if bundle:
        words = f"the bundle in COURSE_DATA cannot be used: {bundle}"
        remedy = "Set COURSE_DATA as your instructor says, or unset it."
    return Finding("data", NOTE, words, remedy, facts)


def sizes(sets: Mapping[str, Recipe]) -> dict[tuple[str, str], int]:
    """Each address with its place, a host or COURSE_MIRROR, and the length of its file."""
    files = [file for recipe in sets.values() for files in recipe.alternatives for file in files]
    wanted = {
        (urlsplit(address).netloc, address): file.size
        for file in files
        for address in file.addresses
    }
    name, recipe = next(iter(sets.items()))
    first = recipe.alternatives[0][0]
    if mirror := mirror_address(name, first):
        wanted["COURSE_MIRROR", mirror] = first.size
    return wanted


def ask(wanted: dict[tuple[str, str], int]) -> dict[tuple[str, str], str]:
    """What is wrong with each address, "" where nothing is; all are asked at once.

    The threads are left to themselves after the time limit: the look-up of a name cannot be ended.
    """
    answers: SimpleQueue[tuple[tuple[str, str], str]] = SimpleQueue()

    def look(key: tuple[str, str], size: int) -> None:
        answers.put((key, fault_of(key[1], size)))

    for key, size in wanted.items():
        Thread(target=look, args=(key, size), daemon=True).start()
    faults = dict.fromkeys(wanted, "no answer in time")
    deadline = time.monotonic() + SECONDS
    for _ in wanted:
        try:
            key, fault = answers.get(timeout=max(0.01, deadline - time.monotonic()))
        except Empty:
            break
        faults[key] = fault
    return faults


def fault_of(address: str, size: int) -> str:
    """What is wrong with an address, from the head of its answer; "" where nothing is."""
    import requests

    try:
        with requests.get(
            address, stream=True, timeout=SECONDS, headers={"Accept-Encoding": "identity"}
        ) as response:
            if response.status_code != 200:
                return f"HTTP status {response.status_code}"
            length = response.headers.get("Content-Length", str(size))
            return "" if length == str(size) else "another file; is there a page to log in to?"
    except requests.Timeout:
        return "no answer in time"
    except requests.exceptions.SSLError:
        return "its certificate is not trusted here"
    except (requests.RequestException, ValueError):
        return "no connection"


def bundle_fault() -> str:
    """What is wrong with the bundle in COURSE_DATA, "" where nothing is or none is set."""
    folder = os.environ.get("COURSE_DATA")
    if not folder:
        return ""
    try:
        bundles.read_manifest(Path(folder))
    except DataError as error:
        return without_folders(str(error))
    return ""
