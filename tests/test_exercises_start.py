"""Lesson 00: right answers of every style pass, plausible wrong ones are told why."""

import numpy as np
import pytest

from course import data
from course.exercises import check
from course.exercises.start import EXERCISES, LESSON
from course.models import nearest_mean as model

SEEDS = (0, 1, 2, 3)

# to_unit_range


def divide_then_convert(pixels):
    return (pixels / 255).astype(np.float32)


def multiply_by_the_inverse(pixels):
    return np.multiply(pixels, 1 / 255, dtype=np.float32)


def look_up_each_level(pixels):
    levels = np.arange(256, dtype=np.float32) / 255
    return levels[pixels]


def pixel_by_pixel(pixels):
    result = np.empty(pixels.shape, dtype=np.float32)
    for place in np.ndindex(pixels.shape):
        result[place] = pixels[place] / 255
    return result


def divided_to_float64(pixels):
    return pixels / 255


def converted_only(pixels):
    return pixels.astype(np.float32)


def whole_number_division(pixels):
    return pixels // 255


def back_to_whole_numbers(pixels):
    return (pixels / 255).astype(pixels.dtype)


def divided_by_256(pixels):
    return pixels.astype(np.float32) / 256


def divided_by_its_own_maximum(pixels):
    return (pixels / pixels.max()).astype(np.float32)


def divided_in_place(pixels):
    pixels /= 255
    return pixels


def changed_in_place(pixels):
    result = pixels.astype(np.float32) / 255
    pixels[...] = 0
    return result


def a_list_of_fractions(pixels):
    return [pixel / 255 for pixel in pixels]


def rounded_to_float16(pixels):
    return (pixels / 255).astype(np.float16)


def inverted(pixels):
    return (255 - pixels).astype(np.float32) / 255


def from_minus_one(pixels):
    return pixels.astype(np.float32) / 127.5 - 1


def image_of_the_lesson(pixels):
    image = np.zeros((28, 28), np.uint8)
    return image.astype(np.float32) / 255


def printed_instead(pixels):
    print(pixels.astype(np.float32) / 255)


# flatten


def flatten_by_product(images):
    batch, height, width = images.shape
    return images.reshape(batch, height * width)


def flatten_each(images):
    return np.array([image.ravel() for image in images])


def flatten_row_beside_row(images):
    return np.concatenate([images[:, row] for row in range(images.shape[1])], axis=1)


def one_long_row(images):
    return images.reshape(-1)


def sizes_swapped(images):
    return images.reshape(-1, len(images))


def images_as_columns(images):
    return images.reshape(len(images), -1).T


def rows_below_each_other(images):
    return images.reshape(-1, images.shape[2])


def column_by_column(images):
    return images.swapaxes(1, 2).reshape(len(images), -1)


def first_image_only(images):
    return images[0].ravel()


def untouched_images(images):
    return images


def averaged_rows(images):
    return images.mean(axis=2)


def a_list_of_rows(images):
    return [image.ravel() for image in images]


def always_784(images):
    return images.reshape(len(images), 784)


def one_row_of_784(images):
    return images.reshape(-1, 784)


def letters_of_the_text(images):
    return images.reshape(B, D)  # noqa: F821


def rows_of_all_lesson_images(images):
    x_train = np.zeros((8_000, 28, 28), np.float32)
    return x_train.reshape(len(x_train), -1)


def too_many_columns(images):
    return images.reshape(len(images), 2 * images[0].size)


def resized_in_place(images):
    images.shape = (len(images), -1)
    return images


# class_means


def means_into_zeros(x, y, num_classes):
    means = np.zeros((num_classes, x.shape[1]))
    for label in range(num_classes):
        means[label] = x[y == label].mean(axis=0)
    return means


def sums_by_counts(x, y, num_classes):
    sums = np.zeros((num_classes, x.shape[1]))
    np.add.at(sums, y, x)
    return sums / np.bincount(y, minlength=num_classes)[:, None]


def one_hot_product(x, y, num_classes):
    one_hot = np.eye(num_classes)[y]
    return one_hot.T @ x / one_hot.sum(axis=0)[:, None]


def plain_python_means(x, y, num_classes):
    rows = []
    for label in range(num_classes):
        chosen = [image for image, other in zip(x, y, strict=True) if other == label]
        rows.append(sum(chosen) / len(chosen))
    return np.array(rows)


def sums_only(x, y, num_classes):
    return np.array([x[y == label].sum(axis=0) for label in range(num_classes)])


def sums_by_all(x, y, num_classes):
    return np.array([x[y == label].sum(axis=0) / len(x) for label in range(num_classes)])


def same_mean_for_all(x, y, num_classes):
    return np.array([x.mean(axis=0) for _ in range(num_classes)])


def one_number_each(x, y, num_classes):
    return np.array([x[y == label].mean() for label in range(num_classes)])


def label_taken_for_position(x, y, num_classes):
    return np.array([x[label] for label in range(num_classes)])


def medians(x, y, num_classes):
    return np.array([np.median(x[y == label], axis=0) for label in range(num_classes)])


def counted_from_one(x, y, num_classes):
    return np.array([x[y == label].mean(axis=0) for label in range(1, num_classes + 1)])


def last_class_missing(x, y, num_classes):
    return np.array([x[y == label].mean(axis=0) for label in range(num_classes - 1)])


def list_returned_in_the_loop(x, y, num_classes):
    means = []
    for k in range(num_classes):
        means.append(x[y == k].mean(axis=0))
        return np.stack(means)


def bare_list_returned_in_the_loop(x, y, num_classes):
    means = []
    for k in range(num_classes):
        means.append(x[y == k].mean(axis=0))
        return means


def mean_returned_in_the_loop(x, y, num_classes):
    for k in range(num_classes):
        return x[y == k].mean(axis=0)


def zeros_returned_in_the_loop(x, y, num_classes):
    means = np.zeros((num_classes, x.shape[1]))
    for k in range(num_classes):
        means[k] = x[y == k].mean(axis=0)
        return means


def mask_of_an_earlier_cell(x, y, num_classes):
    y_train = np.arange(8_000) % 10
    return np.stack([x[y_train == k].mean(axis=0) for k in range(num_classes)])


def rows_of_an_earlier_cell(x, y, num_classes):
    x_train, y_train = np.ones((80, 784)), np.arange(80) % 10
    return np.stack([x_train[y_train == k].mean(axis=0) for k in range(num_classes)])


def a_list_of_means(x, y, num_classes):
    return [x[y == label].mean(axis=0) for label in range(num_classes)]


def a_dictionary_of_means(x, y, num_classes):
    return {label: x[y == label].mean(axis=0) for label in range(num_classes)}


def means_as_whole_numbers(x, y, num_classes):
    means = np.zeros((num_classes, x.shape[1]), dtype=int)
    for label in range(num_classes):
        means[label] = x[y == label].mean(axis=0)
    return means


def labels_overwritten(x, y, num_classes):
    means = model.class_means(x, y, num_classes)
    x[:] = means[y]
    return means


# distances


def distances_last_axis(x, means):
    return np.square(x[:, np.newaxis, :] - means[np.newaxis]).sum(-1)


def distances_from_products(x, means):
    return (x**2).sum(axis=1)[:, None] - 2 * x @ means.T + (means**2).sum(axis=1)


def distances_in_loops(x, means):
    result = np.empty((len(x), len(means)))
    for i, image in enumerate(x):
        for k, mean in enumerate(means):
            result[i, k] = ((image - mean) ** 2).sum()
    return result


def summed_over_means(x, means):
    return np.square(x[:, None] - means).sum(axis=1)


def summed_over_images(x, means):
    return ((x[:, None] - means) ** 2).sum(axis=0)


def summed_over_everything(x, means):
    return ((x[:, None] - means) ** 2).sum()


def square_missing(x, means):
    return (x[:, None] - means).sum(axis=2)


def doubled(x, means):
    difference = x[:, None] - means
    return (difference * 2).sum(axis=2)


def axis_counted_from_one(x, means):
    return ((x[:, None] - means) ** 2).sum(axis=3)


def absolute_differences(x, means):
    return np.abs(x[:, None] - means).sum(axis=2)


def rooted(x, means):
    return np.linalg.norm(x[:, None] - means, axis=2)


def transposed(x, means):
    return ((means[:, None] - x) ** 2).sum(axis=2)


def averaged_over_pixels(x, means):
    return ((x[:, None] - means) ** 2).mean(axis=2)


def paired(x, means):
    return ((x - means) ** 2).sum(axis=1)


def overlap(x, means):
    return x @ means.T


def centred_in_place(x, means):
    x -= means[0]
    return ((x[:, None] - (means - means[0])) ** 2).sum(axis=2)


# nearest_mean


def nearest_row_by_row(x, means):
    return np.array([np.argmin(((image - means) ** 2).sum(axis=1)) for image in x])


def nearest_by_sorting(x, means):
    return np.argsort(model.distances(x, means), axis=1)[:, 0]


def nearest_as_bytes(x, means):
    return model.distances(x, means).argmin(axis=1).astype(np.uint8)


def farthest(x, means):
    return model.distances(x, means).argmax(axis=1)


def nearest_image_of_each_mean(x, means):
    return model.distances(x, means).argmin(axis=0)


def nearest_in_the_table(x, means):
    return model.distances(x, means).argmin()


def smallest_distance(x, means):
    return model.distances(x, means).min(axis=1)


def average_distance(x, means):
    return model.distances(x, means).mean(axis=1)


def function_not_called(x, means):
    distances = model.distances
    return distances.argmin(axis=1)


def all_distances(x, means):
    return model.distances(x, means)


def whole_order(x, means):
    return model.distances(x, means).argsort(axis=1)


def labels_from_one(x, means):
    return model.distances(x, means).argmin(axis=1) + 1


def nearest_images(x, means):
    return means[model.distances(x, means).argmin(axis=1)]


def largest_overlap(x, means):
    return (x @ means.T).argmax(axis=1)


def a_list_of_labels(x, means):
    return [int(row.argmin()) for row in model.distances(x, means)]


def labels_as_fractions(x, means):
    return model.distances(x, means).argmin(axis=1).astype(float)


RIGHT = {
    "to_unit_range": (
        divide_then_convert,
        multiply_by_the_inverse,
        look_up_each_level,
        pixel_by_pixel,
    ),
    "flatten": (flatten_by_product, flatten_each, flatten_row_beside_row),
    "class_means": (means_into_zeros, sums_by_counts, one_hot_product, plain_python_means),
    "distances": (distances_last_axis, distances_from_products, distances_in_loops),
    "nearest_mean": (nearest_row_by_row, nearest_by_sorting, nearest_as_bytes),
}

# Each wrong answer with words that its message must contain.
WRONG = {
    "to_unit_range": {
        divided_to_float64: "astype(np.float32)",
        rounded_to_float16: "astype(np.float32)",
        converted_only: "divide them by 255",
        whole_number_division: "after the point",
        back_to_whole_numbers: "after the point",
        divided_by_256: "not by 256",
        divided_by_its_own_maximum: "largest pixel",
        divided_in_place: "make a new array with `/`",
        changed_in_place: "in place",
        a_list_of_fractions: "a list; a NumPy array is asked for",
        inverted: "swapped",
        from_minus_one: "0 to 1 is asked for",
        image_of_the_lesson: "the function's arguments",
        printed_instead: "None",
    },
    "flatten": {
        one_long_row: "one row for each image",
        sizes_swapped: "swapped",
        images_as_columns: "a column",
        rows_below_each_other: "below each other",
        column_by_column: "column by column",
        first_image_only: "first image only",
        untouched_images: "last two axes",
        averaged_rows: "averaged",
        a_list_of_rows: "a list; a NumPy array",
        always_784: "not 28 × 28",
        one_row_of_784: "(`return images.reshape(-1, 784)`) with ValueError: the images of",
        letters_of_the_text: "names for the text only",
        rows_of_all_lesson_images: "the function's arguments",
        too_many_columns: "The sizes must multiply",
        resized_in_place: "in place",
    },
    "class_means": {
        sums_only: "Those are sums",
        sums_by_all: "number of all images",
        same_mean_for_all: "average of all images",
        one_number_each: "only one number",
        label_taken_for_position: "at the position",
        medians: "median",
        counted_from_one: "start at 0",
        last_class_missing: "last label is missing",
        list_returned_in_the_loop: "`return` inside the loop",
        bare_list_returned_in_the_loop: "`return` inside the loop",
        mean_returned_in_the_loop: "`return` inside the loop",
        zeros_returned_in_the_loop: "`return` inside the loop",
        mask_of_an_earlier_cell: "make the mask from the argument",
        rows_of_an_earlier_cell: "the function's arguments",
        a_list_of_means: "np.stack",
        a_dictionary_of_means: "a NumPy array is asked for",
        means_as_whole_numbers: "dtype",
        labels_overwritten: "`x` in place",
    },
    "distances": {
        summed_over_means: "axis 1",
        summed_over_images: "axis 0",
        summed_over_everything: "one number is left",
        square_missing: "square is missing",
        doubled: "two stars",
        axis_counted_from_one: "Axes are counted from 0",
        absolute_differences: "absolute",
        rooted: "square root",
        transposed: "Rows and columns are swapped",
        averaged_over_pixels: "average over the pixels",
        paired: "image i meets only mean i",
        overlap: "overlap",
        centred_in_place: "`x` in place",
    },
    "nearest_mean": {
        farthest: "farthest",
        nearest_image_of_each_mean: "nearest image of each mean",
        nearest_in_the_table: "Without an axis",
        smallest_distance: "position",
        average_distance: "the positions that `argmin` gives",
        function_not_called: "call it first, as in `distances(x, means)`",
        all_distances: "distances themselves",
        whole_order: "orders all means",
        labels_from_one: "start at 0",
        nearest_images: "labels are asked for",
        largest_overlap: "overlap",
        a_list_of_labels: "a list; a NumPy array",
        labels_as_fractions: "labels are whole numbers",
    },
}


def pairs(table):
    """Each (exercise, answer) of a table, named for the report of the tests."""
    return [
        pytest.param(f"start.{exercise}", answer, id=f"{exercise}-{answer.__name__}")
        for exercise, answers in table.items()
        for answer in answers
    ]


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_the_reference_passes_for_many_seeds(exercise):
    results = [check(exercise.name, exercise.reference, seed) for seed in range(20)]
    assert [str(result) for result in results if not result.passed] == []


@pytest.mark.parametrize(("exercise", "answer"), pairs(RIGHT))
def test_a_right_answer_of_another_style_passes(exercise, answer):
    results = [check(exercise, answer, seed) for seed in SEEDS]
    assert [str(result) for result in results if not result.passed] == []


@pytest.mark.parametrize(("exercise", "answer"), pairs(WRONG))
def test_a_wrong_answer_is_told_what_is_wrong_with_it(exercise, answer):
    words = WRONG[exercise.removeprefix("start.")][answer]
    for seed in SEEDS:
        result = check(exercise, answer, seed)
        assert result.status == "wrong"
        assert words in result.message


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_each_known_mistake_is_rejected_and_called_by_its_own_name(exercise):
    seen = {}
    for mistake in exercise.mistakes:

        def answer(*arguments, mistake=mistake):
            return mistake.answer(*arguments)

        with np.errstate(all="ignore"):
            message = check(exercise.name, answer, seed=5).message
        assert message == mistake.message
        seen[message] = True
    assert len(seen) >= 5


def test_every_exercise_has_wrong_and_right_answers_here():
    names = {exercise.name.removeprefix("start.") for exercise in EXERCISES}
    assert names == set(RIGHT) == set(WRONG)
    assert all(len(answers) >= 5 for answers in WRONG.values())


def test_a_mistake_that_is_looked_for_leaves_no_warning_behind():
    result = check("start.class_means", a_list_of_means, seed=0)
    assert result.aside == ""


@pytest.fixture(scope="module")
def digits():
    """The sample, flattened: training rows, labels, test rows, labels."""
    images = data.mnist(quiet=True)
    train, test = (
        model.flatten(model.to_unit_range(part)) for part in (images.x_train, images.x_test)
    )
    return train, images.y_train, test, images.y_test


@pytest.fixture(autouse=True)
def smoke(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "smoke")


def accuracy(x, y, means):
    batches = np.array_split(x, 10)
    return (np.concatenate([model.nearest_mean(batch, means) for batch in batches]) == y).mean()


@pytest.mark.filterwarnings("ignore:self.within_class_std_dev_")  # of no use here
def test_the_classifier_agrees_with_scikit_learn(digits):
    from sklearn.neighbors import NearestCentroid

    x_train, y_train, x_test, _ = digits
    means = model.class_means(x_train, y_train, 10)
    theirs = NearestCentroid().fit(x_train, y_train).predict(x_test[:300])
    assert (model.nearest_mean(x_test[:300], means) == theirs).all()


def test_the_experiments_that_the_lesson_suggests_go_where_it_says(digits):
    x_train, y_train, x_test, y_test = digits
    means = model.class_means(x_train, y_train, 10)
    usual = accuracy(x_test, y_test, means)
    from_few = accuracy(x_test, y_test, model.class_means(x_train[:200], y_train[:200], 10))
    city = np.stack([np.abs(x_test - mean).sum(axis=1) for mean in means], axis=1)

    assert 0.65 < from_few < usual - 0.01
    assert (city.argmin(axis=1) == y_test)[:1000].mean() < usual - 0.1
    swapped = model.nearest_mean(1 - x_test[:1000], means)
    assert (swapped == y_test[:1000]).mean() < 0.03
    assert (swapped == 0).mean() > 0.6
    assert means.sum(axis=1).argmax() == 0
    assert (swapped[y_test[:1000] == 0] == 0).mean() < 0.1


def test_the_lesson_is_the_one_that_the_exercises_belong_to():
    assert LESSON == "00_start_here"
    assert [exercise.name for exercise in EXERCISES] == [f"start.{name}" for name in RIGHT]
