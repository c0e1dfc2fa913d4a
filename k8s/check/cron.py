"""Cron expressions of five fields, as CronJobs have them."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator
from zoneinfo import ZoneInfo

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("day of the week", 0, 7, WEEKDAYS),
)
"""Each with its lowest and highest value, and the names of the values from the lowest on."""


class CronError(ValueError):
    """An expression that is none; the message says which field and why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Cron:
    """The minutes, hours, days, months and weekdays (0 = Sunday) at which something starts."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    """Whether a day of the month or of the week is enough: where both are restricted, as cron has it."""

    @classmethod
    def parse(cls, text: str) -> Cron:
        """Returns an expression. Raises CronError."""
        parts = text.split()
        if len(parts) != len(FIELDS):
            raise CronError(f"{text!r}: has {len(parts)} fields; write five: minute hour day month weekday")
        read = [_field(part, *spec) for part, spec in zip(parts, FIELDS, strict=True)]
        weekdays = frozenset(day % 7 for day in read[4])
        either = not parts[2].startswith("*") and not parts[4].startswith("*")
        return cls(read[0], read[1], read[2], read[3], weekdays, either)

    def starts(self, zone: ZoneInfo, first: datetime.date, days: int) -> Iterator[datetime.datetime]:
        """Yields the starts (UTC) of so many days from `first` on; times that are skipped in spring are moved on."""
        for day in (first + datetime.timedelta(days=number) for number in range(days)):
            if self._on(day):
                for hour in sorted(self.hours):
                    for minute in sorted(self.minutes):
                        local = datetime.datetime.combine(day, datetime.time(hour, minute), zone)
                        yield local.astimezone(datetime.UTC)

    def _on(self, day: datetime.date) -> bool:
        if day.month not in self.months:
            return False
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return of_month or of_week if self.either_day else of_month and of_week


def _field(text: str, name: str, low: int, high: int, names: tuple[str, ...]) -> frozenset[int]:
    values: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        if slash and not (step.isdecimal() and int(step) > 0):
            raise CronError(f"{name} {text!r}: a step is a whole number from 1 on")
        if span in ("*", "?"):
            first, last = low, high
        else:
            begin, dash, end = span.partition("-")
            first = _number(begin, name, low, high, names)
            last = _number(end, name, low, high, names) if dash else high if slash else first
        if first > last:
            raise CronError(f"{name} {text!r}: ends before it begins")
        values.update(range(first, last + 1, int(step or 1)))
    return frozenset(values)


def _number(text: str, name: str, low: int, high: int, names: tuple[str, ...]) -> int:
    word = text.lower()
    number = low + names.index(word) if word in names else int(text) if text.isdecimal() else -1
    if not low <= number <= high:
        raise CronError(f"{name} {text!r}: is not between {low} and {high}")
    return number
