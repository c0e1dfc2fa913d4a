"""Compares the flow net of the package with OpenCV's DIS and Farneback, and with zero flow.

python -m benchmarks.flow --data DIR --out DIR

Every method gets the same pairs of 8-bit grey frames, 256 x 256. The suffix of a figure names the method (`_dis`,
`_farneback`, `_none`); figures of the flow net have no suffix.
- `epe`: mean end-point error in pixels on synthetic pairs that training never drew; `epe_moving`: at moving points.
- `photometric`: mean |first - second warped back by the flow| in grey levels on consecutive frames of normal footage of
  UCSD Ped2 and CUHK Avenue, the mean of the two.
- `doubled`: AUC with which the fastest tiles tell frames at twice the speed (every second frame) from frames at their
  own speed, on the same footage, the mean of the two data sets. The motion detector needs exactly this of a flow. Tiles
  are weighted by speed as in the served model; `doubled_mean` takes plain means over the tiles instead.
- `ms`: median milliseconds of a pair, from the frames to flow at full resolution.
- `gflop`: billions of floating point operations of a pair, and `mib`: size of the weights, of the flow net only.
- `ceiling_gflops`: of a large matrix product; `ceiling_share`: what the flow net has of it, by pairs, in PyTorch.
  How fast the served flow net is by segments is in `serving-cpu.json`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.record import record
from benchmarks.serving.eager import ceiling
from stmae.config import load
from stmae.datasets.footage import Footage
from stmae.datasets.manifest import DatasetError
from stmae.datasets.readers import read_footage
from stmae.evaluation.figures import BASELINE_TILES
from stmae.model.build import FLOW_WEIGHTS, build_flow_net
from stmae.model.flow import FLOW_STRIDE, FlowNet
from stmae.model.stmae import moved_tiles, tiles
from stmae.training.motion import motion_pairs, warp
from stmae.video.reader import FrameSource

SIZE = 256
SYNTHETIC_PAIRS = 64
SYNTHETIC_SEED = 20_001
"""Seed of the synthetic pairs. Training uses seeds above 1,000,000 (see `stmae.training.loop.seeded`)."""
MOVING = 0.5
"""Speed in pixels a frame above which a point counts as moving."""
REAL_TRIPLES = 100
"""Largest number of frame triples of a data set, spread evenly over its training footage."""
WARM_UP = 5
CEILINGS = 5
"""Products of which the fastest is the ceiling."""

Grey = npt.NDArray[np.uint8]
Pair = tuple[Grey, Grey]
Triple = tuple[Grey, Grey, Grey]
"""Three consecutive frames."""
Method = Callable[[Grey, Grey], Tensor]
"""Maps two frames [S,S] to the displacement [2,S,S] in pixels, x (right) and y (down), of each point of the first."""


def methods(net: FlowNet) -> dict[str, Method]:
    """Returns the methods by the suffix of their figures."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def ours(first: Grey, second: Grey) -> Tensor:
        frames = net.luma(torch.from_numpy(np.stack((first, second)))[..., None].expand(-1, -1, -1, 3))
        with torch.inference_mode():
            flow = net(frames[:1], frames[1:])
            return F.interpolate(flow, scale_factor=float(FLOW_STRIDE), mode="bilinear", align_corners=False)[0]

    def farneback(first: Grey, second: Grey) -> Tensor:
        return _planes(cv2.calcOpticalFlowFarneback(first, second, None, 0.5, 3, 15, 3, 5, 1.2, 0))

    return {
        "": ours,
        "_dis": lambda first, second: _planes(dis.calc(first, second, None)),
        "_farneback": farneback,
        "_none": lambda first, second: torch.zeros(2, *first.shape),
    }


def _planes(flow_SS2: npt.NDArray[Any]) -> Tensor:
    return torch.from_numpy(flow_SS2).permute(2, 0, 1)


def synthetic_pairs() -> tuple[list[Pair], Tensor]:
    """Returns synthetic pairs and their true flow [P,2,S,S]."""
    first, second, truth = motion_pairs(SYNTHETIC_PAIRS, SIZE, torch.Generator().manual_seed(SYNTHETIC_SEED))
    frames = [((signed[:, 0] + 1) * 127.5).round().byte().numpy() for signed in (first, second)]
    return list(zip(*frames, strict=True)), truth


def real_triples(footage: list[Footage]) -> list[Triple]:
    """Returns triples of consecutive frames of the training clips. Raises DatasetError where a clip is damaged."""
    triples: list[Triple] = []
    for clip in (item for item in footage if item.split == "train"):
        source = FrameSource(clip.path, SIZE)
        last: deque[Grey] = deque(maxlen=3)
        for frame in source:
            last.append(np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY), np.uint8))
            if len(last) == 3:
                triples.append((last[0], last[1], last[2]))
        if source.health.status != "scored":
            raise DatasetError(f"{clip.path}: {source.health.reason}; restore it")
    return triples[:: -(-len(triples) // REAL_TRIPLES)]


def end_point_errors(method: Method, pairs: list[Pair], truth: Tensor) -> tuple[float, float]:
    """Returns the mean error in pixels over all points, and over the moving ones."""
    flow = torch.stack([method(*pair) for pair in pairs])
    error = torch.linalg.vector_norm(flow - truth, dim=1)
    return float(error.mean()), float(error[torch.linalg.vector_norm(truth, dim=1) > MOVING].mean())


def photometric_error(method: Method, pairs: list[Pair]) -> float:
    """Returns the mean absolute difference in grey levels."""
    errors = []
    for first, second in pairs:
        back = warp(torch.from_numpy(second).float()[None, None], method(first, second)[None])
        errors.append(float((back[0, 0] - torch.from_numpy(first)).abs().mean()))
    return statistics.fmean(errors)


def doubled_speed(method: Method, triples: list[Triple], by_tile: Callable[[Tensor, int], Tensor]) -> float:
    """Returns the AUC that tells the flow to the next frame but one (abnormal) from the flow to the next (normal).

    `by_tile` reduces a flow to tiles [1,2,16,16].
    """

    def speed(first: Grey, second: Grey) -> float:
        tile = torch.linalg.vector_norm(by_tile(method(first, second)[None], SIZE), dim=1)
        return float(tile.flatten().topk(BASELINE_TILES).values.mean())

    normal = [speed(first, second) for first, second, _ in triples]
    doubled = [speed(first, third) for first, _, third in triples]
    return float(roc_auc_score([0] * len(normal) + [1] * len(doubled), normal + doubled))


def milliseconds(method: Method, pairs: list[Pair]) -> float:
    """Returns the median time of a pair after a warm-up."""
    for pair in pairs[:WARM_UP]:
        method(*pair)
    times = []
    for pair in pairs:
        began = time.perf_counter()
        method(*pair)
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def gflop(net: FlowNet) -> float:
    """Returns the billions of floating point operations of a pair; a multiplication and an addition count as two."""
    frame = torch.zeros(1, 1, SIZE, SIZE)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(frame, frame)
    return float(counter.get_total_flops()) / 1e9


def measure(real: dict[str, list[Triple]]) -> dict[str, float]:
    """Returns all figures. `real` has the frame triples of each data set."""
    net = build_flow_net()
    synthetic, truth = synthetic_pairs()
    pairs = {name: [triple[:2] for triple in triples] for name, triples in real.items()}
    every_pair = [pair for each in pairs.values() for pair in each]
    figures: dict[str, float] = {}
    for suffix, method in methods(net).items():
        figures[f"epe{suffix}"], figures[f"epe_moving{suffix}"] = end_point_errors(method, synthetic, truth)
        for name in real:
            figures[f"photometric_{name}{suffix}"] = photometric_error(method, pairs[name])
        figures[f"photometric{suffix}"] = statistics.fmean(figures[f"photometric_{name}{suffix}"] for name in real)
        if suffix != "_none":
            for name, triples in real.items():
                figures[f"doubled_{name}{suffix}"] = doubled_speed(method, triples, moved_tiles)
                figures[f"doubled_mean_{name}{suffix}"] = doubled_speed(method, triples, tiles)
            for auc in ("doubled", "doubled_mean"):
                figures[f"{auc}{suffix}"] = statistics.fmean(figures[f"{auc}_{name}{suffix}"] for name in real)
            figures[f"ms{suffix}"] = milliseconds(method, every_pair)
    figures |= {"gflop": gflop(net), "mib": FLOW_WEIGHTS.stat().st_size / 2**20}
    figures["ceiling_gflops"] = max(ceiling("fp32") for _ in range(CEILINGS))
    figures["ceiling_share"] = 1000 * figures["gflop"] / figures["ms"] / figures["ceiling_gflops"]
    figures |= {"threads": torch.get_num_threads(), "size": SIZE, "pairs_synthetic": len(synthetic)}
    figures |= {f"pairs_{name}": len(each) for name, each in pairs.items()}
    return {key: round(value, 4) for key, value in figures.items()}


def table(figures: dict[str, float], names: Iterable[str]) -> str:
    """Returns a Markdown table with one line a method."""
    columns = ("epe", "epe_moving", *(f"photometric_{name}" for name in names), "photometric", "doubled", "ms")
    lines = ["| method | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for title, suffix in (("flow net", ""), ("DIS", "_dis"), ("Farneback", "_farneback"), ("no motion", "_none")):
        cells = (f"{figures[key + suffix]:.3f}" if key + suffix in figures else "" for key in columns)
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    """Returns 0, or 2 where a data set is absent or damaged."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with UCSD Ped2 and CUHK Avenue")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    cv2.setNumThreads(torch.get_num_threads())  # so that `ms` compares methods, not thread counts
    try:
        footage = {name: read_footage(load(name), arguments.data)[1] for name in ("ped2", "avenue")}
        real = {name: real_triples(clips) for name, clips in footage.items()}
    except DatasetError as error:
        print(error, file=sys.stderr)
        return 2
    figures = measure(real)
    print(table(figures, real))
    print(record("flow", "python -m benchmarks.flow --data DIR", figures, arguments.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
