"""Memory pools: N prototypes of normal features, read by attention and written by a rule, not a gradient.

Legend: Q queries (one a position of a feature map), C channels, N items, k queries that write to an item.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def queries_of(features_BChw: Tensor) -> Tensor:
    """Features as unit vectors, one a position: [B,C,h,w] -> [B*h*w,C]."""
    return F.normalize(features_BChw.permute(0, 2, 3, 1).flatten(0, 2), dim=1)


def read(items_NC: Tensor, queries_QC: Tensor) -> Tensor:
    """z_hat = sum_n softmax_n(cos(z, m_n)) m_n: what the memory knows of each query, [Q,C]."""
    weights_QN = torch.softmax(queries_QC @ items_NC.T, dim=1)
    return weights_QN @ items_NC


def write(items_NC: Tensor, queries_QC: Tensor, top_k: int) -> Tensor:
    """m <- L2norm(m + w Q): each item moves to the k queries most like it (all, where k is 0), softmax over those only.

    Returns new items [N,C]; the old ones are left as they are, since autograd may still need them.
    """
    similarity_NQ = items_NC @ queries_QC.T
    best_Nk, index_Nk = similarity_NQ.topk(min(top_k or len(queries_QC), len(queries_QC)), dim=1)
    weights_Nk = torch.softmax(best_Nk, dim=1)
    update_NC = (weights_Nk.unsqueeze(-1) * queries_QC[index_Nk]).sum(dim=1)
    return F.normalize(items_NC + update_NC, dim=1)


def nearest_distances(items_NC: Tensor, queries_QC: Tensor) -> Tensor:
    """Squared distances of each query to its nearest and second nearest item, [Q,2]; all are unit vectors."""
    closest_Q2 = (queries_QC @ items_NC.T).topk(2, dim=1).values
    return (2 - 2 * closest_Q2).clamp_min(0)


def k_center_greedy(queries_QC: Tensor, count: int) -> Tensor:
    """First items: `count` queries far from each other (farthest-point sampling from the first query), [count,C]."""
    chosen = [0]
    distance_Q = 1 - queries_QC @ queries_QC[0]
    while len(chosen) < count:
        chosen.append(int(distance_Q.argmax()))
        distance_Q = torch.minimum(distance_Q, 1 - queries_QC @ queries_QC[chosen[-1]])
    return queries_QC[chosen].clone()


class Memory(nn.Module):
    """The items of one stream: a pool a scene and, where there are several scenes, one that they share.

    Frozen while testing, so that scores don't depend on the order of footage.
    """

    pools: Tensor
    shared: Tensor

    def __init__(self, scenes: int, items: int, channels: int) -> None:
        super().__init__()
        self.scenes = scenes
        self.register_buffer("pools", F.normalize(torch.randn(scenes, items, channels), dim=2))
        self.register_buffer("shared", F.normalize(torch.randn(items if scenes > 1 else 0, channels), dim=1))

    def items_of(self, scene: int) -> Tensor:
        """What a scene's queries are compared with, [N,C] or, with the shared pool, [2N,C]."""
        return self.pools[0] if self.scenes == 1 else torch.cat((self.pools[scene], self.shared))

    def forward(self, features_BChw: Tensor, scenes_B: Tensor) -> tuple[Tensor, Tensor]:
        """Features -> what their scenes' memory reads for them [B,C,h,w] and squared distances [B*h*w,2]."""
        if self.scenes == 1:
            return self.recall(features_BChw, 0)
        present = sorted(set(scenes_B.tolist()))
        parts = [self.recall(features_BChw[scenes_B == scene], scene) for scene in present]
        back = torch.cat([(scenes_B == scene).nonzero()[:, 0] for scene in present]).argsort()
        distances = torch.cat([each.view(-1, features_BChw[0, 0].numel(), 2) for _, each in parts])
        return torch.cat([read_BChw for read_BChw, _ in parts])[back], distances[back].flatten(0, 1)

    def recall(self, features_BChw: Tensor, scene: int) -> tuple[Tensor, Tensor]:
        """The same for features of one scene."""
        batch, channels, height, width = features_BChw.shape
        queries_QC, items_NC = queries_of(features_BChw), self.items_of(scene)
        read_QC = read(items_NC, queries_QC)
        read_BChw = read_QC.view(batch, height, width, channels).permute(0, 3, 1, 2)
        return read_BChw, nearest_distances(items_NC, queries_QC)

    @torch.no_grad()
    def write(self, features_BChw: Tensor, scenes: Tensor, top_k: int) -> None:
        """Take a training step's features in; `scenes` [B] says whose they are. The shared pool takes all of them."""
        pools = self.pools.clone()
        for scene in sorted(set(scenes.tolist())):
            pools[scene] = write(self.pools[scene], queries_of(features_BChw[scenes == scene]), top_k)
        self.pools = pools
        if len(self.shared):
            self.shared = write(self.shared, queries_of(features_BChw), top_k)

    @torch.no_grad()
    def start(self, features_BChw: Tensor, scenes: Tensor) -> None:
        """Begin from a sample of features; a scene without one begins from all of them."""
        count = self.pools.shape[1]
        for scene in range(len(self.pools)):
            own = features_BChw[scenes == scene] if (scenes == scene).any() else features_BChw
            self.pools[scene] = k_center_greedy(queries_of(own), count)
        if len(self.shared):
            self.shared = k_center_greedy(queries_of(features_BChw), count)
