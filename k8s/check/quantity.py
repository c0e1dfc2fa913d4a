"""Quantities of Kubernetes: `500m`, `4Gi`, `1e3`."""

from __future__ import annotations

import re
from decimal import Decimal

_FORM = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?\d+)?")
_SCALE = {"": Decimal(1), "m": Decimal("0.001")}
_SCALE |= {unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", 1)}
_SCALE |= {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)}


def quantity(value: object) -> Decimal | None:
    """Returns a quantity as a number, None for what is none."""
    form = _FORM.fullmatch(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    if form is None:
        return None
    unit = form[2] or ""
    return Decimal(form[1] + unit) if unit[1:].lstrip("+-").isdecimal() else Decimal(form[1]) * _SCALE[unit]
