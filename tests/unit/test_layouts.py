"""Archive layouts: camera, date and time from an object's path."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stmae import tables
from stmae.archive.layouts import LAYOUTS, Layout, LayoutError, Place
from stmae.archive.objects import kind_of

NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="/."), min_size=1, max_size=20)
MOMENTS = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@given(camera=NAMES, moment=MOMENTS)
def test_a_dated_path_states_camera_date_and_start(camera: str, moment: datetime) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    path = f"site/{camera}/{moment:%Y-%m-%d}/{moment:%H-%M-%S}.mp4"
    found = Layout().place(path)
    assert (found.camera, found.date, found.start) == (f"site/{camera}", f"{moment:%Y-%m-%d}", moment)


@pytest.mark.parametrize(
    ("layout", "path", "camera", "start", "end"),
    [
        ("stmae", "gate/2026-11-01/13-05-10.mp4", "gate", "2026-11-01 13:05:10", None),
        ("frigate", "2026-11-01/13/gate/05.10.mp4", "gate", "2026-11-01 13:05:10", None),
        ("frigate", "recordings/2026-11-01/13/gate/05.10.mp4", "gate", "2026-11-01 13:05:10", None),
        ("mediamtx", "cam1/2026-11-01_13-05-10-033054.mp4", "cam1", "2026-11-01 13:05:10.033054", None),
        (
            "unifi-protect",
            "gate/2026-11-01/2026-11-01T13-05-18 person.mp4",
            "gate",
            None,
            "2026-11-01 13:05:18",
        ),
        ("reolink", "2026/11/01/Gate_00_20261101130510.mp4", "Gate_00", "2026-11-01 13:05:10", None),
        (
            "dahua",
            "SN123/2026-11-01/001/dav/13/13.05.10-13.05.18[M][0@0][0].dav",
            "SN123/001",
            "2026-11-01 13:05:10",
            "2026-11-01 13:05:18",
        ),
        (
            "dahua",
            "SN123/2026-11-01/001/dav/23/23.59.50-00.00.05[R][0@0][0].dav",
            "SN123/001",
            "2026-11-01 23:59:50",
            "2026-11-02 00:00:05",
        ),
        ("hikvision", "hall/192.168.1.64_01_20261101130510123_TIMING.mp4", "hall", "2026-11-01 13:05:10.123", None),
        ("synology", "gate/20261101PM/gate-20261101-130510-1793538310.mp4", "gate", "2026-11-01 13:05:10", None),
        ("blue-iris", "gate.20261101_130510.mp4", "gate", "2026-11-01 13:05:10", None),
        ("shinobi", "group/gate/2026-11-01T13-05-10.mp4", "group/gate", "2026-11-01 13:05:10", None),
    ],
)
def test_names_of_recorders_are_read_by_their_layout_and_without_one(
    layout: str, path: str, camera: str, start: str | None, end: str | None
) -> None:
    for name in (layout, "auto"):
        found = Layout(name).place(path)
        assert (found.camera, found.layout) == (camera, layout)
        assert found.start == (at(start) if start else None)
        assert found.end == (at(end) if end else None)


@pytest.mark.parametrize(
    ("pattern", "path", "start"),
    [
        ("{camera}/%Y/%m/%d/%H%M%S", "site/gate/2026/11/01/130510.mkv", "2026-11-01 13:05:10"),
        ("{camera}/*-%s", "site/gate/clip-1793538310.mkv", "2026-11-01 13:05:10"),
        ("%Y/{camera}/%m-%d %H%M%S%z", "2026/site/gate/11-01 140510+0100.mkv", "2026-11-01 13:05:10"),
        ("{camera}/%Y-%m-%d/%H", "site/gate/2026-11-01/13.mkv", "2026-11-01 13:00:00"),
    ],
)
def test_any_other_layout_is_a_pattern(pattern: str, path: str, start: str) -> None:
    found = Layout(pattern).place(path)
    assert (found.camera, found.start) == ("site/gate", at(start))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("frigatte", "states no time; one of stmae, frigate"),
        ("{camera}/{date}", "'{' is not understood"),
        ("{camera}/%Q", "'%Q' is not understood"),
    ],
)
def test_a_layout_that_is_none_is_refused(name: str, why: str) -> None:
    with pytest.raises(LayoutError, match=why):
        Layout(name)


def test_a_time_zone_that_is_none_is_refused() -> None:
    with pytest.raises(LayoutError, match=r"Europe/Atlantis.*no such zone"):
        Layout(zone="Europe/Atlantis")


@pytest.mark.parametrize(
    ("path", "camera", "date"),
    [
        ("a.mp4", "archive", "undated"),
        ("gate/a.mp4", "gate", "undated"),
        ("gate/08-00-00.mp4", "gate", "undated"),
        ("2026-03-01/08-00-0x.mp4", "archive", "2026-03-01"),
        ("gate/2026-02-30/08-00-00.mp4", "gate/2026-02-30", "undated"),
        ("gate/2026-03-01/25-00-00.mp4", "gate", "2026-03-01"),
    ],
)
def test_a_path_without_a_valid_date_or_time_has_no_start(path: str, camera: str, date: str) -> None:
    assert Layout().place(path) == Place(camera, date)


def test_wall_times_are_those_of_the_time_zone_and_of_utc_where_the_recorder_writes_that() -> None:
    berlin = Layout(zone="Europe/Berlin")
    assert berlin.place("gate/2026-07-01/00-30-00.mp4") == Place(
        "gate", "2026-06-30", at("2026-06-30 22:30"), layout="motioneye"
    )
    assert berlin.place("gate/2026-12-01/00-30-00.mp4").start == at("2026-11-30 23:30")
    assert berlin.place("2026-07-01/13/gate/05.10.mp4").start == at("2026-07-01 13:05:10")


def test_hours_that_occur_twice_or_never_are_told() -> None:
    berlin = Layout("motioneye", "Europe/Berlin")
    twice, never = (berlin.place(f"gate/{day}/02-30-00.mp4") for day in ("2026-10-25", "2026-03-29"))
    assert twice.start == at("2026-10-25 00:30")
    assert twice.doubt == "2026-10-25 02:30:00 occurs twice in Europe/Berlin: taken for the first"
    assert never.start == at("2026-03-29 01:30")
    assert never.doubt == "2026-03-29 02:30:00 does not exist in Europe/Berlin: the clock was put forward"
    assert berlin.place("gate/2026-10-25/03-30-00.mp4").doubt is None


@given(path=st.text(st.characters(blacklist_characters="\0"), min_size=1, max_size=60))
@pytest.mark.parametrize("name", ["auto", *LAYOUTS])
def test_any_path_can_be_read(name: str, path: str) -> None:
    found = Layout(name).place(path)
    assert found.camera
    assert found.date == tables.UNDATED or len(found.date) == 10


def test_a_camera_name_of_any_length_and_bytes_fits_a_folder_and_is_its_own() -> None:
    long = [f"駐車場の正面入口/{'北の階段 ' * 20}{number}" for number in range(2)]
    names = [Layout().place(f"{name}/2026-11-01/08-00-00.mp4").camera for name in long]
    assert len(set(names)) == 2
    for name in names:
        assert name.startswith("駐車場の正面")
        assert len(f"camera={quote(name, safe='')}") < 255
        assert tables.camera_name(name) == name
    latin = b"entr\xe9e".decode(errors="surrogateescape")
    assert Layout().place(f"{latin}/2026-11-01/08-00-00.mp4").camera == "entr\\xe9e"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a.mp4", "video"),
        ("gate/a.MKV", "video"),
        ("SN/001/dav/13/a.dav", "video"),
        ("gate/a.mts", "video"),
        ("gate/a.h264", "video"),
        ("gate/a.3gp", "video"),
        ("gate/a.asf", "video"),
        ("gate/a.jpg", "companion"),
        ("gate/a.mp4.json", "companion"),
        ("gate/Thumbs.db", "companion"),
        ("gate/a.xyz", "unknown"),
        ("mp4", "unknown"),
        ("gate/._a.mp4", "trash"),
        (".trash/a.mp4", "trash"),
        ("gate/@eaDir/a.mp4/SYNOPHOTO_FILM_M.mp4", "trash"),
        ("#recycle/gate/a.mp4", "trash"),
    ],
)
def test_objects_are_told_apart_by_their_names(path: str, kind: str) -> None:
    assert kind_of(path) == kind
