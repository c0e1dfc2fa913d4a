"""The morning report of the tables: what was not looked at, what was odd, and where. One self-contained HTML file."""

from __future__ import annotations

import dataclasses
import html
import io
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import cv2
import numpy as np
import pyarrow.parquet as pq

from stmae import tables as tabular
from stmae.report.page import Image, heat_overlay, jpeg_uri, page
from stmae.scoring.raw import TILES
from stmae.storage import FileStore, ObjectMissingError, Store, open_store

SHOWN_EVENTS = 60
"""Events with pictures; a page with more is read by nobody."""
KINDS = {
    "prediction": "unpredicted appearance",
    "motion": "unusual motion",
    "appearance": "something that looks unlike all that moves here",
    "presence": "something that stays",
}
"""An event's kind in plain words."""
NO_PICTURE = np.full((180, 320, 3), 200, np.uint8)

STYLE = """
<style>
.facts { display: flex; flex-wrap: wrap; gap: 10px 36px; margin: 14px 0 0; padding: 0; list-style: none; }
.facts b { display: block; font-size: 24px; line-height: 1.2; font-variant-numeric: tabular-nums; }
.facts span { color: var(--soft); font-size: 13px; }
.warn { border-left: 4px solid var(--alarm); }
.fine { border-left: 4px solid #2e8b57; }
.event { display: grid; grid-template-columns: minmax(0, 3fr) minmax(170px, 1fr); gap: 18px; padding: 18px 0;
         border-top: 1px solid var(--line); break-inside: avoid; }
.event:first-of-type { border-top: 0; padding-top: 4px; }
.event h3 { margin: 0 0 2px; font-size: 16px; overflow-wrap: anywhere; }
.event dl { display: grid; grid-template-columns: auto 1fr; gap: 1px 12px; margin: 8px 0 0; font-size: 13px; }
.event dt { color: var(--soft); } .event dd { margin: 0; overflow-wrap: anywhere; }
.score { font-size: 22px; font-weight: 600; font-variant-numeric: tabular-nums; color: var(--alarm); }
.shot { position: relative; align-self: start; }
.shot i { position: absolute; border: 2px solid #ffd400; box-shadow: 0 0 0 1px rgba(0,0,0,.55);
          border-radius: 2px; }
.status { display: inline-block; padding: 0 7px; border-radius: 9px; font-size: 12.5px; background: var(--span); }
.status.scored { background: #dcefe3; }
td.reason { color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
td.name { overflow-wrap: anywhere; } th.name { min-width: 230px; }
@media (max-width: 640px) { .event { grid-template-columns: 1fr; } section { overflow-x: auto; } }
</style>
"""


class ReportError(ValueError):
    """There is nothing to report on; the message says where and the mend."""


@dataclasses.dataclass(frozen=True, slots=True)
class Night:
    """The rows that a report tells of; each is a dict of its table's columns plus `camera` and `date`."""

    store: Store
    model: str
    date: str | None
    coverage: list[dict[str, Any]]
    """By camera, then source."""
    events: list[dict[str, Any]]
    """Highest score first."""
    runs: list[dict[str, Any]]
    """Newest first."""


def night_report(tables: str, model: str | None, date: str | None, out: Path) -> Path:
    """Write the report of the tables at `tables` (path, file:// or s3://) to `out` and return it.

    `model` is a partition, `<deployment>-<digest8>`; None takes that of the newest run. `date` (YYYY-MM-DD) keeps one
    day. Raises ReportError where the tables hold no such rows, StoreError where they cannot be read or `out`
    cannot be written.
    """
    night = read_night(open_store(tables), model, date)
    FileStore(out.absolute().parent).put(out.name, render(night).encode("utf-8"))
    return out


def read_night(store: Store, model: str | None, date: str | None) -> Night:
    """Collect the rows. Raises ReportError, StoreError."""
    runs = sorted(_rows(store, "runs/"), key=lambda row: (row["started"], row["plan_digest"]), reverse=True)
    models = list(dict.fromkeys(row["model"] for row in runs))
    if not models:
        raise ReportError(f"{store.root}: no run is recorded there; score an archive first, or correct the URI")
    model = model or models[0]
    if model not in models:
        raise ReportError(f"{store.root}: no run of model {model!r}; there are {', '.join(models)}")
    coverage = _of_day(_rows(store, f"coverage/model={model}/"), date)
    if not coverage:
        when = f" on {date}" if date else ""
        raise ReportError(f"{store.root}: no source of model {model!r}{when} is covered; check the date")
    return Night(
        store=store,
        model=model,
        date=date,
        coverage=sorted(coverage, key=lambda row: (row["camera"], row["source"])),
        events=sorted(
            _of_day(_rows(store, f"events/model={model}/"), date),
            key=lambda row: (-row["peak_score"], row["source"], row["peak_frame"]),
        ),
        runs=[run for run in runs if run["model"] == model],
    )


def render(night: Night) -> str:
    """The whole HTML document."""
    title = f"Night report{f' for {night.date}' if night.date else ''}"
    body = [STYLE, _summary(title, night), _not_looked_at(night), _events(night), _coverage(night)]
    return page(title, "\n".join(body))


def _rows(store: Store, prefix: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for item in store.list(prefix):
        if not item.path.endswith(".parquet"):
            continue
        parts = dict(part.split("=", 1) for part in item.path.split("/") if "=" in part)
        partition = {name: unquote(value) for name, value in parts.items()}
        rows += [row | partition for row in pq.read_table(io.BytesIO(store.get(item.path))).to_pylist()]
    return rows


def _of_day(rows: Iterable[dict[str, Any]], date: str | None) -> list[dict[str, Any]]:
    return [row for row in rows if date is None or row["date"] == date]


def _summary(title: str, night: Night) -> str:
    decoded = sum(row["seconds_decoded"] for row in night.coverage)
    cameras = {row["camera"] for row in night.coverage}
    troubled = sum(row["status"] != "scored" for row in night.coverage)
    facts = [
        (len(night.events), "event" if len(night.events) == 1 else "events"),
        (len(cameras), "camera" if len(cameras) == 1 else "cameras"),
        (len(night.coverage), "video" if len(night.coverage) == 1 else "videos"),
        (_duration(decoded), "of footage looked at"),
        (troubled, "not, or not wholly, looked at"),
    ]
    items = "".join(f"<li><b>{value}</b><span>{label}</span></li>" for value, label in facts)
    return (
        f'<h1>{html.escape(title)}</h1>\n<p class="soft">Model {html.escape(night.model)} &middot; '
        f"tables {html.escape(night.store.root)}</p>\n<ul class='facts'>{items}</ul>"
    )


def _not_looked_at(night: Night) -> str:
    troubled = [row for row in night.coverage if row["status"] != "scored"]
    failed = night.runs[0]["sources_failed"]
    left = (
        f"<p><b>The last run left {failed} of its {night.runs[0]['sources']} videos undone</b> because a server or a "
        "store failed. They are in no table yet; run it again.</p>"
        if failed
        else ""
    )
    if not troubled and not failed:
        return (
            '<section class="fine"><h2>Everything was looked at</h2><p>Each video was decoded completely. '
            "The first four frames of a video have no score.</p></section>"
        )
    rows = "".join(
        f'<tr><td class="name">{html.escape(row["camera"])}</td><td class="name">{html.escape(_short(row))}</td>'
        f"<td>{_badge(row['status'])}</td><td class='number'>{_lost(row)}</td>"
        f'<td class="reason">{html.escape(row["reason"] or "")}</td></tr>'
        for row in troubled
    )
    table = (
        "<table><thead><tr><th>Camera</th><th class='name'>Video</th><th>Status</th>"
        "<th class='number'>Missed</th><th>Why</th></tr>"
        f"</thead><tbody>{rows}</tbody></table>"
        if rows
        else ""
    )
    return f'<section class="warn"><h2>Not looked at, or not wholly</h2>{left}{table}</section>'


def _events(night: Night) -> str:
    if not night.events:
        return "<section><h2>Events</h2><p>Nothing exceeded what is normal for these cameras.</p></section>"
    cards = "\n".join(_event(rank, event, night.store) for rank, event in enumerate(night.events[:SHOWN_EVENTS], 1))
    more = len(night.events) - SHOWN_EVENTS
    rest = (
        f"<p class='soft'>{more} more, with lower scores, are in the table <code>events</code>.</p>" if more > 0 else ""
    )
    return (
        '<section><h2>Events</h2><p class="soft">Oddest first. The score says how unlikely such a frame is in '
        "the camera's normal footage: with every 2.3 more, ten times less likely. Left the frame at the "
        f"peak, framed where it is odd; right how odd each place is.</p>\n{cards}\n{rest}</section>"
    )


def _event(rank: int, event: dict[str, Any], store: Store) -> str:
    picture = _picture(store, event["thumbnail"])
    tiles = np.array(event["tiles"], np.float32).reshape(TILES, TILES)
    heat = heat_overlay(picture, tiles, float(tiles.max()))
    left, top, right, bottom = (100 * event[f"box_{side}"] for side in ("left", "top", "right", "bottom"))
    box = f"left:{left:.2f}%;top:{top:.2f}%;width:{right - left:.2f}%;height:{bottom - top:.2f}%"
    facts = {
        "Starts": _moment(event["start_time"], event["start_s"]),
        "Peak": _moment(event["peak_time"], event["peak_s"]),
        "Lasts": f"{event['end_s'] - event['start_s']:.1f} s",
        "Video": _short(event),
        "Frames": f"{event['start_frame']}&ndash;{event['end_frame']}",
        "Event": event["event_id"],
    }
    entries = "".join(
        f"<dt>{name}</dt><dd>{value if name == 'Frames' else html.escape(str(value))}</dd>"
        for name, value in facts.items()
    )
    return (
        f'<article class="event"><div class="pair"><figure class="shot"><img alt="frame at the peak" '
        f'src="{jpeg_uri(picture)}"><i style="{box}"></i></figure><figure><img alt="how odd each place is" '
        f'src="{jpeg_uri(heat)}"></figure></div><div><h3>{rank}. {html.escape(event["camera"])}</h3>'
        f'<span class="score">{event["peak_score"]:.1f}</span> <b>{KINDS[event["kind"]]}</b>'
        f"<dl>{entries}</dl></div></article>"
    )


def _picture(store: Store, path: str | None) -> Image:
    """RGB; grey where the event has no thumbnail (that of a rebuilt event may not exist)."""
    if path is None:
        return NO_PICTURE
    try:
        data = np.frombuffer(store.get(path), np.uint8)
    except ObjectMissingError:
        return NO_PICTURE
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return NO_PICTURE if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def _coverage(night: Night) -> str:
    cameras = dict.fromkeys(row["camera"] for row in night.coverage)
    body = "".join(
        _camera(camera, [row for row in night.coverage if row["camera"] == camera], night.events) for camera in cameras
    )
    return (
        "<section><h2>Coverage by camera</h2><table><thead><tr><th>Camera</th><th class='number'>Videos</th>"
        "<th class='number'>Frames decoded</th><th class='number'>Frames scored</th><th class='number'>Footage</th>"
        f"<th class='number'>Events</th><th>Status</th></tr></thead><tbody>{body}</tbody></table></section>"
    )


def _camera(camera: str, rows: list[dict[str, Any]], events: list[dict[str, Any]]) -> str:
    statuses = Counter(row["status"] for row in rows)
    badges = " ".join(_badge(name, statuses[name]) for name in tabular.STATUSES if statuses[name])
    numbers = (
        len(rows),
        sum(row["frames_decoded"] for row in rows),
        sum(row["frames_scored"] for row in rows),
        _duration(sum(row["seconds_decoded"] for row in rows)),
        sum(event["camera"] == camera for event in events),
    )
    cells = "".join(
        f'<td class="number">{value if isinstance(value, str) else format(value, ",")}</td>' for value in numbers
    )
    return f'<tr><th scope="row">{html.escape(camera)}</th>{cells}<td>{badges}</td></tr>'


def _badge(status: str, count: int | None = None) -> str:
    text = status if count is None else f"{count} {status}"
    return f'<span class="status {html.escape(status)}">{html.escape(text)}</span>'


def _short(row: dict[str, Any]) -> str:
    """The last parts of the source's URI, as people know it."""
    parts = unquote(row["source"]) if row["source"].startswith("file:") else row["source"]
    return "/".join(parts.split("/")[-(1 if row["date"] == tabular.UNDATED else 2) :])


def _lost(row: dict[str, Any]) -> str:
    """Footage that the container reports and that was not decoded."""
    if row["seconds_reported"] is None:
        return "all of it" if not row["frames_decoded"] else "unknown"
    return _duration(max(0.0, row["seconds_reported"] - row["seconds_decoded"]))


def _moment(wall: Any, seconds: float) -> str:
    return f"{wall:%Y-%m-%d %H:%M:%S} UTC" if wall is not None else f"{_duration(seconds)} into the video"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
