"""The commands `course data list`, `fetch`, `bundle` and `verify`."""

import os
from collections.abc import Mapping
from pathlib import Path

from course.datasets import bundles, sources
from course.datasets.downloads import DataError
from course.datasets.files import SPLITS, Arrays
from course.datasets.recipes import SETS, Recipe


def list_sets(sets: Mapping[str, Recipe] = SETS) -> int:
    """Print a table of the data sets: how large, and where this machine has them."""
    from rich.console import Console
    from rich.table import Table

    table = Table("data set", "examples", "here now", "download", "licence")
    for recipe in sets.values():
        table.add_row(
            recipe.name,
            f"{sum(recipe.examples):,}",
            ", ".join(_places(recipe)),
            f"{recipe.megabytes:.1f} MB" if recipe.alternatives else "none needed",
            recipe.licence,
        )
    Console().print(table)
    return 0


def fetch(names: list[str], sets: Mapping[str, Recipe] = SETS) -> int:
    """Download data sets into the cache; no names means all.  Exit status 1 where one failed."""
    recipes = _chosen(names, sets)
    to_fetch = _to_download(recipes, names)
    fetched = [_fetched(recipe) for recipe in to_fetch]
    return 1 if not recipes or None in fetched else 0


def bundle(folder: Path, names: list[str], sets: Mapping[str, Recipe] = SETS) -> int:
    """Write an offline bundle for `COURSE_DATA`; no names means all data sets."""
    recipes = _chosen(names, sets)
    to_pack = _to_download(recipes, names)
    for recipe in to_pack:
        arrays = _fetched(recipe)
        if arrays is None:
            return 1
        try:
            path = bundles.write(folder, recipe.name, arrays, _facts(recipe, arrays))
        except DataError as error:
            print(f"{recipe.title}: {error}.")
            return 1
        count = len(arrays["y_train"]) + len(arrays["y_test"])
        print(f"{recipe.title}: {count:,} {recipe.items} in {path}")
    if to_pack:
        print(f"To use this bundle, set COURSE_DATA to {folder.resolve()}")
    return 0 if recipes else 1


def verify(names: list[str], sets: Mapping[str, Recipe] = SETS) -> int:
    """Hash every copy on this machine again; exit status 1 where one is damaged."""
    recipes = _chosen(names, sets)
    sound = True
    for recipe in recipes:
        places = {}
        if recipe.sample is not None:
            places = {"sample": sources.from_sample}
        if recipe.alternatives:
            places |= {"cache": sources.from_cache, "bundle": sources.from_bundle}
        for place, read in places.items():
            try:
                found = read(recipe) is not None
                print(f"{recipe.title}, {place}: {'as it should be' if found else 'none here'}")
            except DataError as error:
                sound = False
                print(f"{recipe.title}, {place}: NOT as it should be: {error}.")
    return 0 if recipes and sound else 1


def _chosen(names: list[str], sets: Mapping[str, Recipe]) -> list[Recipe]:
    """The recipes of these names, or of all where there are none; empty after a wrong name."""
    for name in names:
        if name not in sets:
            print(f"There is no data set {name!r}; choose from: {', '.join(sets)}.")
            return []
    return [sets[name] for name in names or sets]


def _to_download(recipes: list[Recipe], names: list[str]) -> list[Recipe]:
    """The data sets that there are to download; of the others a line says so when asked by name.

    Where several are missing, says how much they are in all, before the first one starts.
    """
    for recipe in recipes:
        if recipe.name in names and not recipe.alternatives:
            print(f"{recipe.title}: all of it comes with the course, in every installation")
    recipes = [recipe for recipe in recipes if recipe.alternatives]
    missing = [recipe for recipe in recipes if not _is_in_cache(recipe)]
    if len(missing) > 1:
        sizes = ", ".join(f"{recipe.name} {recipe.megabytes:.1f}" for recipe in missing)
        print(f"To download: {sum(recipe.megabytes for recipe in missing):.1f} MB ({sizes})")
    return recipes


def _fetched(recipe: Recipe) -> Arrays | None:
    """The official arrays, downloaded unless they are in the cache; None where that failed."""
    try:
        arrays = sources.from_cache(recipe)
    except DataError:
        arrays = None
        print(f"{recipe.title}: a file in {recipe.cache} is damaged and will be replaced")
    if arrays is not None:
        print(f"{recipe.title}: already in {recipe.cache}")
        return arrays
    print(f"{recipe.title}: downloading {recipe.megabytes:.1f} MB to {recipe.cache}")
    try:
        arrays = sources.from_download(recipe)
    except DataError as error:
        print(
            f"{recipe.title}: {error}. Lessons go on with the sample; for the rest try again later,"
            " or set COURSE_MIRROR or COURSE_DATA as your instructor says."
        )
        return None
    print(f"{recipe.title}: {sum(recipe.examples):,} {recipe.items}, verified")
    return arrays


def _facts(recipe: Recipe, arrays: Arrays) -> dict[str, object]:
    """What a bundle's manifest says about a data set, apart from its file."""
    return {
        "examples": {split: len(arrays[f"y_{split}"]) for split in SPLITS},
        "classes": list(recipe.classes),
        "licence": recipe.licence,
        "source": recipe.alternatives[0][0].addresses[0],
        "source_sha256": [file.sha256 for file in recipe.alternatives[0]],
    }


def _places(recipe: Recipe) -> list[str]:
    """Where this machine seems to have the data set, without hashing anything."""
    stand_in = recipe.stand_in
    places = ["sample" if stand_in is None else f"sample of {stand_in.name} in its place"]
    if _is_in_cache(recipe):
        places.append("cache")
    if folder := os.environ.get("COURSE_DATA"):
        try:
            if recipe.name in bundles.read_manifest(Path(folder)):
                places.append("bundle")
        except DataError:
            places.append("bundle (unreadable: see course data verify)")
    return places


def _is_in_cache(recipe: Recipe) -> bool:
    """Whether all files of the data set seem to be there, without hashing anything."""
    return any(
        all(os.path.isfile(recipe.cache / file.name) for file in files)
        for files in recipe.alternatives
    )
