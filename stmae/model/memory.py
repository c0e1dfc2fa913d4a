"""Memory pools: N prototypes of normal features, read by attention and written by a rule, not a gradient.

Legend: B clips, h x w feature positions, Q = B*h*w queries (one a position), C channels, N items, k queries that write
to an item.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def queries_of(features_BChw: Tensor) -> Tensor:
    """Returns the features [B,C,h,w] as unit vectors, one a position, [B*h*w,C]."""
    return F.normalize(features_BChw.permute(0, 2, 3, 1).flatten(0, 2), dim=1)


def read(items_NC: Tensor, queries_QC: Tensor) -> Tensor:
    """Returns z_hat = sum_n softmax_n(cos(z, m_n)) m_n for each query, [Q,C]."""
    weights_QN = torch.softmax(queries_QC @ items_NC.T, dim=1)
    return weights_QN @ items_NC


def write(items_NC: Tensor, queries_QC: Tensor, top_k: int) -> Tensor:
    """Returns the items [N,C] after m <- L2norm(m + w Q).

    Each item moves towards its k most similar queries (all, if `top_k` is 0), weighted by a softmax over those only.
    The old items are left as they are, since autograd may still need them.
    """
    similarity_NQ = items_NC @ queries_QC.T
    best_Nk, index_Nk = similarity_NQ.topk(min(top_k or len(queries_QC), len(queries_QC)), dim=1)
    weights_Nk = torch.softmax(best_Nk, dim=1)
    update_NC = (weights_Nk.unsqueeze(-1) * queries_QC[index_Nk]).sum(dim=1)
    return F.normalize(items_NC + update_NC, dim=1)


def nearest_distances(items_NC: Tensor, queries_QC: Tensor) -> Tensor:
    """Returns the squared distances of each query to its nearest and second nearest item, [Q,2], all unit vectors."""
    closest_Q2 = (queries_QC @ items_NC.T).topk(2, dim=1).values
    return (2 - 2 * closest_Q2).clamp_min(0)


def k_center_greedy(queries_QC: Tensor, count: int) -> Tensor:
    """Returns `count` queries far from each other, [count,C]: farthest-point sampling from the first query on."""
    chosen = [0]
    distance_Q = 1 - queries_QC @ queries_QC[0]
    while len(chosen) < count:
        chosen.append(int(distance_Q.argmax()))
        distance_Q = torch.minimum(distance_Q, 1 - queries_QC @ queries_QC[chosen[-1]])
    return queries_QC[chosen].clone()


class Memory(nn.Module):
    """The items of one stream: one pool per scene and, if there are several scenes, one that they share.

    It is never written in inference, so that scores don't depend on the order of footage.
    """

    pools: Tensor
    shared: Tensor

    def __init__(self, scenes: int, items: int, channels: int) -> None:
        super().__init__()
        self.scenes = scenes
        self.register_buffer("pools", F.normalize(torch.randn(scenes, items, channels), dim=2))
        self.register_buffer("shared", F.normalize(torch.randn(items if scenes > 1 else 0, channels), dim=1))

    def items_of(self, scene: int) -> Tensor:
        """Returns the items that a scene's queries are compared with, [N,C] or, with the shared pool, [2N,C]."""
        return self.pools[0] if self.scenes == 1 else torch.cat((self.pools[scene], self.shared))

    def forward(self, features_BChw: Tensor, scenes_B: Tensor) -> tuple[Tensor, Tensor]:
        """Returns z_hat [B,C,h,w] of clips of mixed scenes, and their queries' nearest distances [B*h*w,2]."""
        if self.scenes == 1:
            return self.recall(features_BChw, 0)
        present = sorted(set(scenes_B.tolist()))
        parts = [self.recall(features_BChw[scenes_B == scene], scene) for scene in present]
        back = torch.cat([(scenes_B == scene).nonzero()[:, 0] for scene in present]).argsort()
        distances = torch.cat([each.view(-1, features_BChw[0, 0].numel(), 2) for _, each in parts])
        return torch.cat([read_BChw for read_BChw, _ in parts])[back], distances[back].flatten(0, 1)

    def recall(self, features_BChw: Tensor, scene: int) -> tuple[Tensor, Tensor]:
        """Returns what `forward` does, for clips of one scene."""
        batch, channels, height, width = features_BChw.shape
        queries_QC, items_NC = queries_of(features_BChw), self.items_of(scene)
        read_QC = read(items_NC, queries_QC)
        read_BChw = read_QC.view(batch, height, width, channels).permute(0, 3, 1, 2)
        return read_BChw, nearest_distances(items_NC, queries_QC)

    @torch.no_grad()
    def write(self, features_BChw: Tensor, scenes_B: Tensor, top_k: int) -> None:
        """Writes a training step's features to the pool of each clip's scene, and all of them to the shared pool."""
        pools = self.pools.clone()
        for scene in sorted(set(scenes_B.tolist())):
            pools[scene] = write(self.pools[scene], queries_of(features_BChw[scenes_B == scene]), top_k)
        self.pools = pools
        if len(self.shared):
            self.shared = write(self.shared, queries_of(features_BChw), top_k)

    @torch.no_grad()
    def start(self, features_BChw: Tensor, scenes_B: Tensor) -> None:
        """Initialises each pool from the features of its scene; a scene without any takes those of all scenes."""
        count = self.pools.shape[1]
        for scene in range(len(self.pools)):
            own = features_BChw[scenes_B == scene] if (scenes_B == scene).any() else features_BChw
            self.pools[scene] = k_center_greedy(queries_of(own), count)
        if len(self.shared):
            self.shared = k_center_greedy(queries_of(features_BChw), count)
