"""One pass over the recordings of a camera-hour, with what comes right before and after it."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter, deque
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stmae.archive.sources import Source
from stmae.archive.timeline import WARM_UP, Unit
from stmae.batch.copies import Copies
from stmae.batch.coverage import Reading
from stmae.batch.job import Job
from stmae.batch.rows import FrameRows
from stmae.batch.stream import GAP_SECONDS, SEAM_SECONDS, Sample, Segment, Segmenter
from stmae.scoring.detectors.persistence import AFTER_SECONDS
from stmae.scoring.raw import CLIP_FRAMES, RawScores
from stmae.serving.client import Client, ServingError
from stmae.serving.segments import Images
from stmae.video.sampling import sample_number
from stmae.video.sandbox import Sandbox
from stmae.video.stillness import holders, runs

AHEAD_SECONDS = AFTER_SECONDS + 1.0
"""So much of what follows a unit is looked at: its last values depend on it."""
NO_IMAGES = np.zeros((0, 0, 0, 3), np.uint8)


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """A segment, without its images, and its raw scores."""

    number: int
    """The position of the segment in its stream, from 0."""
    segment: Segment
    raw: RawScores
    still: npt.NDArray[np.bool_]
    """[F] frames that show nothing new: their raw scores are those of an earlier one."""

    @property
    def since(self) -> float:
        """Returns the time of its first scored frame on the camera's timeline, seconds."""
        return self.segment.scored[0].at


@dataclasses.dataclass(frozen=True, slots=True)
class Warmth:
    """The end of a unit's stream, from which the next one can go on. It holds what that would compute to warm up."""

    readings: tuple[Reading, ...]
    segmenter: Segmenter
    answers: tuple[Answer, ...]
    """Those of the last WARM_UP."""

    def readings_of(self, before: tuple[Source, ...], since: float) -> list[Reading]:
        """Returns the readings of all sources `before` a unit; none where reading them alone would give other frames.

        That is so where one of them is not known, and where a recording that is not among them, because it began long
        before, has frames in segments from `since` on.
        """
        uris = [source.uri for source in before]
        known = [reading for reading in self.readings if reading.source.uri in uris]
        shown = {sample.source for answer in self.answers if answer.since >= since for sample in answer.segment.scored}
        same = [reading.source.uri for reading in known] == uris and shown <= set(uris)
        return known if same else []


@dataclasses.dataclass(frozen=True, slots=True)
class _Sent:
    """A segment that the server was asked about, as far as it shows anything new."""

    number: int
    segment: Segment
    held: npt.NDArray[np.intp]

    @property
    def runs(self) -> list[slice]:
        return runs(self.held, CLIP_FRAMES)

    def answer(self, parts: list[RawScores]) -> Answer:
        """Returns the raw scores of all frames, given those of each run."""
        measured = np.concatenate([np.arange(run.start, run.stop) for run in self.runs])
        raw = RawScores.join(parts)[np.searchsorted(measured, self.held)]
        return Answer(self.number, self.segment, raw, self.held != np.arange(len(self.held)))


class UnitStream:
    """Reads a unit. With the `warmth` of the unit before it gives the same as without, sooner."""

    def __init__(
        self, job: Job, unit: Unit, copies: Copies, sandbox: Sandbox, client: Client, warmth: Warmth | None
    ) -> None:
        self._job, self._unit, self._copies, self._sandbox, self._client = job, unit, copies, sandbox, client
        self._fps = job.normality.fps
        start = unit.own[0].place.start
        # From there on segments are the same whatever came before the first source of `before`: it begins at the latest
        # WARM_UP before, and then come at most a segment and the frames that are seen only.
        lead = job.segment_frames / self._fps + CLIP_FRAMES * GAP_SECONDS
        self._from = start.timestamp() - WARM_UP.total_seconds() + lead if start and unit.before else 0.0
        self.readings: list[Reading] = []
        """What was read of each source, in order."""
        self.paths: dict[str, Path] = {}
        """Local copies of sources by URI."""
        self._segmenter = Segmenter(job.segment_frames, self._fps)
        self._answers = deque[Answer]()
        known = warmth.readings_of(unit.before, self._from) if warmth else []
        if warmth and known:
            self.readings += known
            self._segmenter = warmth.segmenter.fork()
            self._answers += warmth.answers
        self._number = self._answers[-1].number + 1 if self._answers else 0
        self._end: tuple[Segmenter, int] | None = None

    @property
    def sources(self) -> list[Source]:
        """Returns the sources of the unit's stream, those that were read with the ETags of the very bytes."""
        read = {reading.source.uri: reading.source for reading in self.readings}
        return [read.get(source.uri, source) for source in self._unit.stream]

    @property
    def until(self) -> datetime | None:
        """Returns when what came before the unit ended, UTC."""
        before = {source.uri for source in self._unit.before}
        ends = [reading.end for reading in self.readings if reading.source.uri in before]
        return max((end for end in ends if end is not None), default=None)

    @property
    def warmth(self) -> Warmth | None:
        """Returns the end of the unit's own sources, once all was read."""
        if self._end is None:
            return None
        segmenter, number = self._end
        return Warmth(
            tuple(each for each in self.readings if each.source.uri != (self._unit.after and self._unit.after.uri)),
            segmenter,
            tuple(answer for answer in self._answers if answer.number < number),
        )

    def scored(self) -> FrameRows:
        """Reads the stream, and returns what is known of the frames of the unit's own sources."""
        rows = FrameRows()
        for _, answers in itertools.groupby(self._asked(), key=lambda answer: answer.segment.run):
            self._value(answers, rows)
        counts = Counter(sample.source for sample in rows.samples)
        for reading in self.readings:
            reading.scored = counts[reading.source.uri]
        return rows

    def _value(self, answers: Iterator[Answer], rows: FrameRows) -> None:
        """Adds the own frames of a run with their values, which come some frames after the raw scores."""
        own = {source.uri for source in self._unit.own}
        pending = deque[Answer]()
        done = 0  # frames of the first pending answer that have their values

        def raw() -> Iterator[RawScores]:
            for answer in answers:
                pending.append(answer)
                yield answer.raw

        for values in self._job.normality.frame_values(raw()):
            taken = 0
            while taken < len(values):
                answer = pending[0]
                count = min(len(answer.raw) - done, len(values) - taken)
                mine = [sample.source in own for sample in answer.segment.scored[done : done + count]]
                first, some = mine.index(True) if any(mine) else 0, sum(mine)
                part, valued = slice(done + first, done + first + some), slice(taken + first, taken + first + some)
                rows.add(answer.segment.scored[part], answer.raw[part], values[valued], answer.still[part])
                taken, done = taken + count, done + count
                if done == len(answer.raw):
                    pending.popleft()
                    done = 0

    def _asked(self) -> Iterator[Answer]:
        """Yields the raw scores of the stream, from about WARM_UP before the unit on."""
        yield from [answer for answer in self._answers if answer.since >= self._from]
        sent = deque[_Sent]()

        def images() -> Iterator[Images]:
            for segment in self._segments():
                if segment.scored[0].at >= self._from:
                    held = holders(segment.images, CLIP_FRAMES, self._job.normality.noise)
                    sent.append(_Sent(self._number, dataclasses.replace(segment, images=NO_IMAGES), held))
                    for run in sent[-1].runs:
                        yield segment.images[run.start : run.stop + CLIP_FRAMES]
                self._number += 1

        parts: list[RawScores] = []
        for raw in self._client.score_stream(images()):
            try:
                parts.append(raw.check())
            except ValueError as error:
                where = f"{self._job.server_url}: model {self._job.deployment!r}"
                raise ServingError("missing", f"{where}: {error}") from None
            if len(parts) < len(sent[0].runs):
                continue
            answer, parts = sent.popleft().answer(parts), []
            self._answers.append(answer)
            while self._answers[0].since < answer.since - WARM_UP.total_seconds():
                self._answers.popleft()
            yield answer

    def _segments(self) -> Iterator[Segment]:
        read = {reading.source.uri for reading in self.readings}
        waiting = [source for source in self._unit.stream if source.uri not in read]
        for source, following in itertools.zip_longest(waiting, waiting[1:]):
            if source == self._unit.after:
                self._end = self._segmenter.fork(), self._number
                if not self._goes_on(source):
                    continue
            if following is not None and following != self._unit.after:
                self._copies.get(source)
                self._copies.request(following)
            for sample, image in self._frames(source):
                yield from self._segmenter.push(sample, image)
        if self._end is None:
            self._end = self._segmenter.fork(), self._number
        yield from self._segmenter.flush()

    def _goes_on(self, source: Source) -> bool:
        """Says whether a source follows the stream without a gap."""
        last, start = self._segmenter.last, source.place.start
        return last is not None and start is not None and start.timestamp() - last.at <= GAP_SECONDS

    def _frames(self, source: Source) -> Iterator[tuple[Sample, Images]]:
        """Yields the samples of a source, and enters what was read."""
        copy = self._copies.get(source)
        reading = Reading(copy.source, source.place.start, trouble=copy.trouble)
        self.readings.append(reading)
        if copy.path is None:
            return
        self.paths[source.uri] = copy.path
        start = source.place.start.timestamp() if source.place.start else 0.0
        until = start + AHEAD_SECONDS if source == self._unit.after else float("inf")
        frames = self._sandbox.read(
            copy.path, self._job.size, fps=self._fps, start_s=start, after=self._taken_before(start)
        )
        previous = 0.0
        for frame in frames:
            at = start + frame.time_s
            if at > until:
                return
            if reading.samples and frame.time_s - previous > GAP_SECONDS:
                reading.pauses.append((previous + 1 / self._fps, frame.time_s))
            previous = frame.time_s
            reading.samples += 1
            yield Sample(source.uri, frame.index, frame.time_s, at), frame.image
        reading.health = frames.health
        reading.start = source.start(frames.health.seconds_decoded)

    def _taken_before(self, start: float) -> int | None:
        """Returns the number of the sample after which a source that begins at `start` may have some."""
        last = self._segmenter.last
        if last is None:
            return None
        number = sample_number(last.at, self._fps)
        if last.at - start > SEAM_SECONDS:  # it overlaps what came before: that much is there already
            return number
        return min(number, sample_number(start, self._fps) - 1)
