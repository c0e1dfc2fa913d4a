"""Cron expressions and quantities, as Kubernetes reads them."""

from __future__ import annotations

import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from k8s.check.cron import Cron, CronError
from k8s.check.quantity import quantity
from k8s.check.selector import selects

BERLIN = ZoneInfo("Europe/Berlin")


def starts(text: str, first: datetime.date, days: int) -> list[str]:
    return [f"{start:%m-%d %H:%M}" for start in Cron.parse(text).starts(BERLIN, first, days)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 1 * * *", ["03-28 00:00", "03-29 00:00", "03-29 23:00"]),  # the clock is put forward on the 29th
        ("*/30 6 * * sat", ["03-28 05:00", "03-28 05:30"]),
        ("15 0-4/2 29 3 *", ["03-28 23:15", "03-29 01:15", "03-29 02:15"]),  # 2:15 is skipped
        ("0 0 30 3 6", ["03-27 23:00", "03-29 22:00"]),  # either day is enough
        ("0 0 * * 7", ["03-28 23:00"]),
    ],
)
def test_starts_of_a_schedule(text: str, expected: list[str]) -> None:
    assert starts(text, datetime.date(2026, 3, 28), 3) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "5-1 * * * *",
        "a * * * *",
    ],
)
def test_no_schedule(text: str) -> None:
    with pytest.raises(CronError):
        Cron.parse(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", "1"), ("500m", "0.5"), ("4Gi", 4 * 2**30), ("1e3", 1000), ("2E", 2 * 10**18), (".5", "0.5"), (3, 3)],
)
def test_quantities(text: object, value: object) -> None:
    assert quantity(text) == Decimal(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "4 Gi", "4GB", "one", "--1", None, True, "1ki"])
def test_no_quantity(text: object) -> None:
    assert quantity(text) is None


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ({}, True),
        ({"matchLabels": {"app": "triton"}}, True),
        ({"matchLabels": {"app": "night"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["night", "triton"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["triton"]}]}, False),
        ({"matchExpressions": [{"key": "zone", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "zone", "operator": "Exists"}]}, False),
    ],
)
def test_selectors(selector: dict[str, object], selected: bool) -> None:
    assert selects(selector, {"app": "triton"}) is selected
