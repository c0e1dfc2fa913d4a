"""Words for what reports show: return periods, footage, durations, times, videos, statuses, detectors.

A night is 24 hours of a camera's footage: the daily batch scores one such night after the other.
"""

from __future__ import annotations

import math
from datetime import datetime
from urllib.parse import unquote

from stmae import tables
from stmae.scoring import CLAIM

DETECTORS = {
    "prediction": "a picture that the model did not expect",
    "motion": "motion that is rarely or never seen there",
    "appearance": "something moving that looks like nothing that normally moves here",
    "persistence": "something that stays where nothing normally stays",
}
"""What the detector of an event has seen."""

STATUSES = {
    "scored": "looked at",
    "truncated": "cut or damaged; the rest was looked at",
    "undecodable": "no picture could be read",
    "empty": "holds no frames",
    "missing": "gone, or not readable",
    "skipped": "too short, or no video",
    "gap": "no recording between two",
    "unaccounted": "nothing is known: not recorded, or not worked on",
}
"""What a status of the table `coverage` means, and what it means that no row tells of some time."""

_UNITS = ((24.0, "night"), (1.0, "hour"), (1 / 60, "minute"), (1 / 3600, "second"))
"""Hours of each unit, the longest first."""


def return_period(hours: float, *, bounded: bool = False) -> str:
    """Says how rare an event is that normal footage shows once in `hours`, to two significant digits.

    "about once in 40 nights"; where `bounded`, the event is rarer than that, and the number is rounded down.
    """
    how = "rarer than" if bounded else "about"
    number, unit = _in_units(hours, round_down=bounded)
    if number == 0:
        return "more than once a second"
    if number == 1:
        return f"{how} once {'an' if unit == 'hour' else 'a'} {unit}"
    return f"{how} once in {number:,g} {unit}s"


def short_period(hours: float, *, bounded: bool = False) -> str:
    """Returns the period alone, for tables: "40 nights", "over 9.6 nights"."""
    number, unit = _in_units(hours, round_down=bounded)
    if number == 0:
        return "under a second"
    return f"{'over ' if bounded else ''}{number:,g} {unit}{'' if number == 1 else 's'}"


def footage(hours: float) -> str:
    """Returns an amount of footage, never in nights: "2.3 hours", "12 minutes"."""
    scale, unit = next((one for one in _UNITS[1:] if hours >= one[0]), _UNITS[-1])
    number = _two_digits(hours / scale, round_down=False)
    return f"{number:,g} {unit}{'' if number == 1 else 's'}"


def measured_against(calibration_hours: float) -> str:
    """Says what a return period rests on."""
    return f"measured against {footage(calibration_hours)} of normal footage of this camera"


def period_of(score: float, calibration_hours: float) -> tuple[float, bool]:
    """Returns the return period in hours of a score = log10(hours), and whether it is only a bound.

    It is one where the score is beyond what the calibration footage can tell apart.
    """
    bound = CLAIM * calibration_hours
    bounded = score > math.log10(bound)
    return bound if bounded else 10.0**score, bounded


def detector(name: str) -> str:
    """Returns what a detector sees, in plain words; a detector without words here is called by its name."""
    return DETECTORS.get(name, f"something that the detector {name!r} rates as anomalous")


def duration(seconds: float) -> str:
    """Returns a stretch of time: "12.5 s", "3 min 05 s", "2 h 14 min"."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes:02d} min"


def share(part: float, total: float) -> str:
    """Returns a part in percent: "99.9%". It is rounded down, so that only all of it is 100%."""
    return f"{math.floor(1000 * part / total) / 10:g}%" if total else "\N{EN DASH}"


def moment(time: datetime | None, seconds: float) -> str:
    """Returns when something was, UTC; where no time is known, how many seconds into the video."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC" if time is not None else f"{duration(seconds)} into the video"


def video(source: str, date: str) -> str:
    """Returns the last parts of the URI of a source in the partition `date`, as people know it."""
    uri = unquote(source) if source.startswith("file:") else source
    return "/".join(uri.split("/")[-(1 if date == tables.UNDATED else 2) :])


def _in_units(hours: float, *, round_down: bool) -> tuple[float, str]:
    """Returns the number in the longest unit of which there is at least one; 0 seconds for less than a second."""
    for scale, unit in _UNITS:
        number = _two_digits(hours / scale, round_down=round_down)
        if number >= 1:
            return number, unit
    return 0.0, "second"


def _two_digits(value: float, *, round_down: bool) -> float:
    """Rounds to two significant digits; 0 stays 0."""
    if value <= 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    # 9.6 nights are 230.4 / 24 = 9.5999...: binary fractions must not cost a step.
    steps = math.floor(value / step + 1e-6) if round_down else round(value / step)
    return round(steps * step, 10)
