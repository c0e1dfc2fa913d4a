"""Makes ready what is measured: footage, a deployment, the server, the processes beside it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.serving.deployment import deploy, fit, random_model
from benchmarks.serving.eager import Eager
from benchmarks.serving.footage import Footage
from benchmarks.serving.inprocess import InProcess
from benchmarks.serving.served import Job, in_messages
from stmae.config import Config
from stmae.export.folding import folded
from stmae.scoring.raw import CLIP_FRAMES
from stmae.serving.client import Client
from stmae.serving.segments import Images
from stmae.serving.triton import runtime as runtimes
from stmae.serving.triton.launcher import EmbeddedTriton
from stmae.video.sandbox import Sandbox

WAY_SECONDS, JOB_SECONDS = 8.0, 24.0
"""About so long a way takes in a round; the job longer, since it starts a decoder and writes tables once a run."""
FEWEST, MOST, JOB_MOST = 2, 4, 16
"""Segments of a way in a round, and of the job."""
DECODED_FRAMES = 100
DEADLINE_SECONDS = 600.0
"""Longest wait for an answer: the longest segments take a slow machine minutes."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """What is measured, running."""

    config: Config
    footage: str
    """The data set that the frames are of."""
    frames: Images
    """[F,S,S,3] consecutive frames, enough for MOST segments, or for one MOST times as long."""
    eager: Eager
    lean: Eager
    """The model as it is exported: what it computes is what a server computes."""
    inprocess: InProcess
    messages: Client
    """Sends frames in messages."""
    shared: Client
    """Lends frames in shared memory."""
    job: Job
    sandbox: Sandbox
    recording: Path
    """A video in 1080p."""
    segments: int
    """Segments of `serve.segment_frames` frames that each way scores in a round."""

    @property
    def length(self) -> int:
        """Returns T of the deployment."""
        return self.config.serve.segment_frames


@contextlib.contextmanager
def prepared(config: Config, data_root: Path | None, environment: Path, folder: Path) -> Iterator[Bench]:
    """Makes everything below `folder`, and ends all processes in the end.

    Footage is that of `config.data.reader` below `data_root`, or synthetic; `environment` is the embedded Triton's.
    Raises DatasetError, LauncherError and RuntimeFolderError.
    """
    length, size = config.serve.segment_frames, config.model.frame_size
    footage = Footage.of(config, data_root, folder, MOST * length)
    frames = footage.frames(size)
    np.save(folder / "frames.npy", frames)
    footage.write_1080p(folder / "1080p.mp4", DECODED_FRAMES)
    runtimes.assemble(environment)
    model = random_model(config)
    repository = deploy(config, model, frames, folder)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(EmbeddedTriton(repository, runtime=environment))
        messages, shared = (
            stack.enter_context(Client(url, config.name, deadline_seconds=DEADLINE_SECONDS))
            for url in (in_messages(server.grpc_url), server.grpc_url)
        )
        fit(config, shared.score_array(frames).raw, repository / config.name)
        runtime = InProcess(runtimes.locate(environment), server, config.name, folder / "frames.npy")
        inprocess = stack.enter_context(runtime)
        inprocess.rate(length, 1)  # the first is slower
        seconds = (length - CLIP_FRAMES) / inprocess.rate(length, 1)
        recorded = _within(JOB_SECONDS / seconds, JOB_MOST)
        footage.write_film(folder / "archive" / "film.mp4", recorded * (length - CLIP_FRAMES))
        yield Bench(
            config=config,
            footage=footage.source,
            frames=frames,
            eager=Eager(model),
            lean=Eager(folded(model, 0)),
            inprocess=inprocess,
            messages=messages,
            shared=shared,
            job=Job(server.grpc_url, repository, config.name, folder / "archive", folder / "tables"),
            sandbox=stack.enter_context(Sandbox()),
            recording=folder / "1080p.mp4",
            segments=_within(WAY_SECONDS / seconds, MOST),
        )


def _within(segments: float, most: int) -> int:
    return min(max(round(segments), FEWEST), most)
