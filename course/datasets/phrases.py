"""Dates, numbers and amounts of money in English and in Chinese, as Unicode's CLDR writes them.

The CLDR (Common Locale Data Repository) says for each language how people write such things; the
package Babel brings it. So there are as many pairs as one likes, and every translation is right.
"""

import datetime
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from course.datasets.overlap import letters_and_digits

Pair = tuple[str, str]
Maker = Callable[[np.random.Generator], tuple[Any, Pair]]  # a value, and how it is written

YEARS = (1900, 2099)
MOST_DIGITS = 4  # of a number, the zeros at its end apart
CURRENCIES = "AUD BRL CAD CHF CNY CZK DKK EGP EUR GBP INR JPY KRW MXN NOK PLN RUB SEK THB USD"


def pairs(count: int) -> list[Pair]:
    """Phrases with their translations: about half are dates, a quarter numbers, a quarter money.

    Always the same ones, in no order. No day, number or amount comes twice, in whatever form, and
    no two phrases are equal by letters and digits: so any part can be held out.
    """
    return _different((a_date, a_date, a_number, an_amount), count, seed=9)


def unseen_forms(count: int) -> dict[str, list[Pair]]:
    """Phrases in forms that `pairs` never has: `count` of each, under what is new about them."""
    makers = {
        "day before month": lambda rng: a_date(rng, ("full", "long"), english="en_GB"),
        "capital letters": lambda rng: _in_capitals(*a_date(rng, ("full", "long"))),
        "with dashes": lambda rng: a_date(rng, ("short",), english="en_CA"),
        "years from 2100 on": lambda rng: a_date(rng, years=(2100, 2199)),
        "numbers of five digits": lambda rng: a_number(rng, (5,)),
    }
    return {
        name: _different((maker,), count, seed=90 + place)
        for place, (name, maker) in enumerate(makers.items())
    }


def _different(makers: Sequence[Maker], count: int, seed: int) -> list[Pair]:
    """As many pairs of these makers, of which no two have the same value or the same letters."""
    rng, found, seen = np.random.default_rng(seed), [], set()
    for _ in range(count):
        maker = makers[rng.integers(len(makers))]
        while True:
            value, pair = maker(rng)
            keys = {value, letters_and_digits(pair[0])}
            if not keys & seen:
                break
        seen |= keys
        found.append(pair)
    return found


def a_date(
    rng: np.random.Generator,
    forms: tuple[str, ...] = ("full", "long", "medium", "yMMMEd", "yMd"),
    years: tuple[int, int] = YEARS,
    english: str = "en",
) -> tuple[datetime.date, Pair]:
    """A day, and how it is written in one of these forms."""
    first, last = datetime.date(years[0], 1, 1), datetime.date(years[1], 12, 31)
    day = first + datetime.timedelta(days=int(rng.integers((last - first).days + 1)))
    form = forms[rng.integers(len(forms))]
    return day, (_written(day, form, english), _written(day, form, "zh"))


def _written(day: datetime.date, form: str, locale: str) -> str:
    """form: a name of Babel's, or which parts there are to be: a year comes first then."""
    from babel import dates

    if form.startswith("y"):
        return dates.format_skeleton(form, day, locale=locale)
    return dates.format_date(day, form, locale=locale)


def a_number(
    rng: np.random.Generator, num_digits: tuple[int, ...] = tuple(range(1, MOST_DIGITS + 1))
) -> tuple[int, Pair]:
    """A number from a thousand to a thousand trillions, and how it is written in short.

    English counts in steps of a thousand, Chinese in steps of ten thousand.
    """
    from babel import numbers

    length = num_digits[rng.integers(len(num_digits))]
    zeros = rng.integers(max(4 - length, 0), 16 - length)
    digits = int(rng.integers(10 ** (length - 1), 10**length))
    digits += digits % 10 == 0  # as a zero at the end would not be written
    number = digits * 10 ** int(zeros)
    exact = {"fraction_digits": length}
    return number, (
        numbers.format_compact_decimal(number, format_type="long", locale="en", **exact),
        numbers.format_compact_decimal(number, format_type="short", locale="zh", **exact),
    )


def an_amount(rng: np.random.Generator) -> tuple[float, Pair]:
    """An amount of money below a million, and how it is written with the currency's name."""
    from babel import numbers

    currencies = CURRENCIES.split()
    currency = currencies[rng.integers(len(currencies))]
    amount = int(10 ** rng.uniform(2, 8)) / 100
    return amount, tuple(
        numbers.format_currency(amount, currency, format_type="name", locale=locale)
        for locale in ("en", "zh")
    )


def _in_capitals(value: Any, pair: Pair) -> tuple[Any, Pair]:
    return value, (pair[0].upper(), pair[1])
