"""The values of a site: each is set, of its form and documented, and none is missing in what is rendered."""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
import zoneinfo
from collections.abc import Callable, Iterator
from pathlib import Path

from k8s.check.cron import Cron
from k8s.check.overlay import Check, Overlay, walk
from k8s.check.rules.kinds import LABEL, LABEL_VALUE

FILE = "site/site.env"
READER = "site/kustomization.yaml"
PAGE = "docs/cluster.md"
UNSET = "set-by-site"
"""What the base writes where a value of the site belongs."""
PLACEHOLDER = re.compile(
    r"<.*>|\bchange.?me\b|\btodo\b|\bfixme\b|\breplace.?me\b|\byour\b|^x{3,}$|^\.\.\.$|set-by-site", re.I
)
_SOURCE = re.compile(r"fieldPath: data\.([A-Z0-9_]+)")


def _store(text: str) -> bool:
    parts = urllib.parse.urlsplit(text)
    return (parts.scheme == "s3" and bool(parts.netloc)) or (parts.scheme == "file" and parts.path.startswith("/"))


def _url(text: str) -> bool:
    parts = urllib.parse.urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def _raises(parse: Callable[[str], object]) -> Callable[[str], bool]:
    """Returns whether a parser takes a text."""

    def good(text: str) -> bool:
        try:
            parse(text)
        except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
            return False
        return True

    return good


FORMS: dict[str, tuple[Callable[[str], bool], str]] = {
    **dict.fromkeys(("ARCHIVE", "TABLES", "MODELS"), (_store, "an s3:// or file:// URI")),
    **dict.fromkeys(("CAMERA_TIME_ZONE", "SCHEDULE_TIME_ZONE"), (_raises(zoneinfo.ZoneInfo), "an IANA time zone")),
    **dict.fromkeys(("NIGHT_SCHEDULE", "COMPACT_SCHEDULE"), (_raises(Cron.parse), "a cron expression of five fields")),
    **dict.fromkeys(("S3_CIDR", "API_SERVER_CIDR"), (_raises(ipaddress.ip_network), "a network, such as 192.0.2.0/24")),
    **dict.fromkeys(("S3_ENDPOINT", "TRACES_ENDPOINT"), (_url, "an http:// or https:// URL")),
    "S3_PORT": (lambda text: text.isdecimal() and 0 < int(text) < 65536, "a port"),
    **dict.fromkeys(
        ("PROMETHEUS_NAMESPACE", "TRACES_NAMESPACE", "KUBEFLOW_NAMESPACE", "KUBERAY_NAMESPACE"),
        (lambda text: LABEL.fullmatch(text) is not None, "the name of a namespace"),
    ),
    **dict.fromkeys(
        ("QUEUE", "GPU_PRODUCT"), (lambda text: LABEL_VALUE.fullmatch(text) is not None, "the value of a label")
    ),
}
"""The forms of values by their names, and what each is called."""


def site(root: Path) -> Iterator[Check]:
    """Checks the file of a site's values: nothing is empty, a placeholder, of a wrong form, unused or undocumented."""
    lines = (root / FILE).read_text(encoding="utf-8").splitlines()
    entries = dict(line.partition("=")[::2] for line in lines if line.strip() and not line.startswith("#"))
    used = set(_SOURCE.findall((root / READER).read_text(encoding="utf-8")))
    page = root.parent / PAGE
    documented = page.read_text(encoding="utf-8") if page.is_file() else ""

    def check(name: str, good: bool, wrong: str) -> Check:
        return Check(f"k8s/{FILE}", "", name, "" if good else wrong)

    for name, value in entries.items():
        yield check(name, bool(value.strip()), f"is empty; set it ({PAGE} says what it means)")
        yield check(name, not PLACEHOLDER.search(value), f"is left as a placeholder, {value!r}; set it")
        form, called = FORMS.get(name, (lambda text: True, ""))
        yield check(name, not value or form(value), f"{value!r} is not {called}")
        yield check(name, name in used, f"nothing reads it; k8s/{READER} must, or it goes")
        yield check(name, f"| `{name}` |" in documented, f"is not in the table of {PAGE}")
    for name in sorted(used - entries.keys()):
        yield check(name, False, "is missing; set it")


def filled(overlay: Overlay) -> Iterator[Check]:
    """Checks that each place that waits for a value of the site has got one."""
    for document in overlay.documents:
        left = [field for field, value in walk(document.body) if isinstance(value, str) and UNSET in value]
        wrong = f"still says {UNSET!r}; k8s/{READER} has to write a value there"
        yield document.check(left[0] if left else "metadata", not left, wrong)
