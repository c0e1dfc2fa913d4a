"""Measures how well speeds can be told apart at several sizes of FRAMES.

python benchmarks/resolution.py --data DIR --out DIR

On the normal footage of UCSD Ped2, whose frames are 360 x 240, at each size:
- `faster_<size>`: AUC with which the speeds of a tile row's moving tiles, multiplied by FASTER, are told from the
  speeds as they are; the mean over the rows, weighted by the number of moving tiles. Velocities are averaged over a
  walking step. Only tiles that move at every size count.
"""

from __future__ import annotations

import argparse
import itertools
import shlex
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from record import record
from sklearn.metrics import roc_auc_score

from stmae.datasets.manifest import DatasetError
from stmae.datasets.readers import PED2_FPS, read_ped2
from stmae.model.build import build_flow_net
from stmae.model.flow import FlowNet
from stmae.model.stmae import moved_tiles, to_signed
from stmae.scoring.norm import GAIT_SECONDS
from stmae.scoring.raw import TILES
from stmae.scoring.usual import FINEST, steady
from stmae.video.reader import FrameSource

SIZES = (128, 256, 384)
CLIPS = 8
"""Number of training clips, evenly chosen."""
FASTER = 1.25
"""Factor of the speeds that have to be told from the normal ones."""
MOVING = 0.001
"""Lowest speed of a moving tile, in frame widths a frame."""
SAMPLES = 5000
"""Number of normal and of faster tiles that are drawn from each row."""

Speeds = npt.NDArray[np.floating]


def speeds(net: FlowNet, clip: Path, size: int) -> Speeds:
    """Returns the speeds [F,16,16] of a clip's tiles, averaged over a step, in frame widths a frame."""
    tiles = []
    frames = [to_signed(torch.from_numpy(frame.image)[None]) for frame in FrameSource(clip, size)]
    with torch.inference_mode():
        for first, second in itertools.pairwise(frames):
            flow = net(first, second)
            tiles.append(moved_tiles(flow, flow.shape[-1]).numpy())
    flow_tiles = np.concatenate(tiles)
    step = steady(flow_tiles, flow_tiles, GAIT_SECONDS * PED2_FPS)
    return np.asarray(np.hypot(step[:, 0], step[:, 1]) / min(size, FINEST))


def faster(speeds_FRC: Speeds, moves_FRC: npt.NDArray[np.bool_]) -> float:
    """Returns the AUC that tells the moving tiles' speeds times FASTER from these speeds, row by row."""
    random, aucs, weights = np.random.default_rng(0), [], []
    for row in range(TILES):
        seen = speeds_FRC[:, row][moves_FRC[:, row]]
        if len(seen):
            normal, other = random.choice(seen, SAMPLES), random.choice(seen, SAMPLES)
            labels = np.repeat([0, 1], SAMPLES)
            aucs.append(roc_auc_score(labels, np.concatenate((normal, FASTER * other))))
            weights.append(len(seen))
    return float(np.average(aucs, weights=weights))


def main() -> int:
    """Returns 0, or 2 where the data set is absent or damaged."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of UCSD Ped2, or the one above")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        training = [item.path for item in read_ped2(arguments.data)[1] if item.split == "train"]
    except DatasetError as error:
        print(error, file=sys.stderr)
        return 2
    chosen = [training[i * len(training) // CLIPS] for i in range(CLIPS)]
    net = build_flow_net()
    seen = {size: np.concatenate([speeds(net, clip, size) for clip in chosen]) for size in SIZES}
    moves = np.all([one > MOVING for one in seen.values()], axis=0)
    figures: dict[str, float] = {f"faster_{size}": round(faster(one, moves), 4) for size, one in seen.items()}
    figures |= {"clips": len(chosen), "tiles": int(moves.sum())}
    print(record("resolution-ped2", shlex.join(["python", *sys.argv]), figures, arguments.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
