"""Memory pools: N prototypes of normal features, read by attention and written by a rule, not a gradient.

Items compete for queries. Where each item took the queries most like it, whoever else had them, a pool would end as
copies of a few features.

Legend: B clips, h x w feature positions, Q = B*h*w queries (one a position), C channels, N items, k queries that write
to an item.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TEMPERATURE = 0.1
"""Divides the cosines of a read. Without it the weights of all items are within a factor of e^2 of each other, and
every query reads about the mean of the pool."""
SAME = 0.1
"""Squared distance of unit vectors up to which two items count as one: a cosine of 0.95."""
CHUNK = 1024
"""Items that queries are compared with at once: of a bank of thousands, the similarities of a segment fill hundreds of
megabytes."""


def queries_of(features_BChw: Tensor) -> Tensor:
    """Returns the features [B,C,h,w] as unit vectors, one a position, [B*h*w,C]."""
    return F.normalize(features_BChw.permute(0, 2, 3, 1).flatten(0, 2), dim=1)


def read(items_NC: Tensor, queries_QC: Tensor) -> Tensor:
    """Returns z_hat = L2norm(sum_n softmax_n(cos(z, m_n) / TEMPERATURE) m_n) for each query, [Q,C]."""
    weights_QN = read_weights(items_NC, queries_QC)
    return F.normalize(weights_QN @ items_NC, dim=1)


def read_weights(items_NC: Tensor, queries_QC: Tensor) -> Tensor:
    """Returns the weight of each item in what a query reads, [Q,N]."""
    return torch.softmax(queries_QC @ items_NC.T / TEMPERATURE, dim=1)


def write(items_NC: Tensor, queries_QC: Tensor, top_k: int) -> Tensor:
    """Returns the items [N,C] after m <- L2norm(m + w Q).

    An item takes the queries that are nearer to it than to any other item: the k most similar of these (all, if
    `top_k` is 0), weighted by a softmax over those only. An item that is the nearest one of no query stays as it is.
    """
    similarity_NQ = items_NC @ queries_QC.T
    numbers_N1 = torch.arange(len(items_NC), device=items_NC.device).unsqueeze(1)
    taken_NQ = similarity_NQ.masked_fill(similarity_NQ.argmax(0) != numbers_N1, -torch.inf)
    best_Nk, index_Nk = taken_NQ.topk(min(top_k or len(queries_QC), len(queries_QC)), dim=1)
    weights_Nk = torch.softmax(best_Nk, dim=1).nan_to_num(0.0)
    update_NC = (weights_Nk.unsqueeze(-1) * queries_QC[index_Nk]).sum(dim=1)
    return F.normalize(items_NC + update_NC, dim=1)


def restart(items_NC: Tensor, queries_QC: Tensor, idle_N: Tensor) -> Tensor:
    """Returns the items [N,C] with those that are `idle_N` replaced by the queries that the pool explains worst.

    Each replacement counts for the next one, so that no two are alike unless the queries are.
    """
    items_NC, closest_Q = items_NC.clone(), (queries_QC @ items_NC.T).amax(1)
    for item in idle_N.nonzero()[:, 0].tolist():
        items_NC[item] = queries_QC[closest_Q.argmin()]
        closest_Q = torch.maximum(closest_Q, queries_QC @ items_NC[item])
    return items_NC


def nearest_distance(items_NC: Tensor, queries_QC: Tensor) -> Tensor:
    """Returns the squared distance of each query to its nearest item, [Q], all unit vectors."""
    highest = [(queries_QC @ chunk_NC.T).amax(1) for chunk_NC in torch.split(items_NC, CHUNK)]
    return (2 - 2 * torch.stack(highest).amax(0)).clamp_min(0)


def nearest_distances(items_NC: Tensor, queries_QC: Tensor) -> Tensor:
    """Returns the squared distances of each query to its nearest item and to the nearest other than that, [Q,2].

    The second one is farther than SAME from the first: to a copy both distances would be equal, and L_c would have no
    gradient. It is 4, the largest distance of unit vectors, where all items are the same.
    """
    similarity_QN = queries_QC @ items_NC.T
    closest_Q, nearest_Q = similarity_QN.max(1)
    other_QN = similarity_QN.masked_fill(are_same(items_NC)[nearest_Q], -1.0)
    return (2 - 2 * torch.stack((closest_Q, other_QN.amax(1)), 1)).clamp_min(0)


def are_same(items_NC: Tensor) -> Tensor:
    """Returns which items count as one, [N,N]."""
    return items_NC @ items_NC.T >= 1 - SAME / 2


def distinct(items_NC: Tensor) -> int:
    """Returns how many items are left if, of those that count as one, the first is kept."""
    same_NN, kept = are_same(items_NC).tolist(), list[int]()
    for item, same_N in enumerate(same_NN):
        if not any(same_N[other] for other in kept):
            kept.append(item)
    return len(kept)


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
    chosen: Tensor
    """[scenes + 1, N] items that were the nearest one of a query since the last restart; the shared pool's are last."""

    def __init__(self, scenes: int, items: int, channels: int) -> None:
        super().__init__()
        self.scenes = scenes
        self.register_buffer("pools", F.normalize(torch.randn(scenes, items, channels), dim=2))
        self.register_buffer("shared", F.normalize(torch.randn(items if scenes > 1 else 0, channels), dim=1))
        self.register_buffer("chosen", torch.zeros(scenes + 1, items, dtype=torch.bool))

    def items_of(self, scene: int) -> Tensor:
        """Returns the items that a scene's queries are compared with, [N,C] or, with the shared pool, [2N,C]."""
        return self.pools[0] if self.scenes == 1 else torch.cat((self.pools[scene], self.shared))

    def recall(self, features_BChw: Tensor, scene: int) -> tuple[Tensor, Tensor]:
        """Returns z_hat [B,C,h,w] of clips of one scene, and each query's `nearest_distance` [B*h*w]."""
        queries_QC, items_NC = queries_of(features_BChw), self.items_of(scene)
        return maps_of(read(items_NC, queries_QC), features_BChw), nearest_distance(items_NC, queries_QC)

    def forward(self, features_BChw: Tensor, scenes_B: Tensor) -> tuple[Tensor, Tensor]:
        """Returns z_hat [B,C,h,w] of a training batch of mixed scenes, and its `nearest_distances` [B*h*w,2]."""
        parts = [(features_BChw, 0)]
        if self.scenes > 1:
            parts = [(features_BChw[clip : clip + 1], scene) for clip, scene in enumerate(scenes_B.tolist())]
        read_parts, distances = [], []
        for part_BChw, scene in parts:
            queries_QC, items_NC = queries_of(part_BChw), self.items_of(scene)
            read_parts.append(maps_of(read(items_NC, queries_QC), part_BChw))
            distances.append(nearest_distances(items_NC, queries_QC))
        return torch.cat(read_parts), torch.cat(distances)

    @torch.no_grad()
    def write(self, features_BChw: Tensor, scenes_B: Tensor, top_k: int) -> None:
        """Writes a training step's features to the pool of each clip's scene, and all of them to the shared pool.

        Items are overwritten in place: call it after the backward pass, which needs those that were read.
        """
        for pool, items_NC, queries_QC in self._written_pools(features_BChw, scenes_B):
            nearest_Q = (queries_QC @ items_NC.T).argmax(1)
            self.chosen[pool].index_fill_(0, nearest_Q, True)
            items_NC.copy_(write(items_NC, queries_QC, top_k))

    @torch.no_grad()
    def restart(self, features_BChw: Tensor, scenes_B: Tensor) -> None:
        """Starts items anew that no query chose since the last call, from the features that fit their pool worst."""
        for pool, items_NC, queries_QC in self._written_pools(features_BChw, scenes_B):
            items_NC.copy_(restart(items_NC, queries_QC, ~self.chosen[pool]))
            self.chosen[pool] = False

    @torch.no_grad()
    def start(self, features_BChw: Tensor, scenes_B: Tensor) -> None:
        """Initialises each pool from the features of its scene; a scene without any takes those of all scenes."""
        count = self.pools.shape[1]
        for scene in range(len(self.pools)):
            own = features_BChw[scenes_B == scene] if (scenes_B == scene).any() else features_BChw
            self.pools[scene] = k_center_greedy(queries_of(own), count)
        if len(self.shared):
            self.shared.copy_(k_center_greedy(queries_of(features_BChw), count))

    def _written_pools(self, features_BChw: Tensor, scenes_B: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yields number, items [N,C], a view, and queries [Q,C] of each pool that a batch writes to."""
        if self.scenes == 1:
            yield 0, self.pools[0], queries_of(features_BChw)
            return
        for scene in sorted(set(scenes_B.tolist())):
            yield scene, self.pools[scene], queries_of(features_BChw[scenes_B == scene])
        yield self.scenes, self.shared, queries_of(features_BChw)


def maps_of(rows_Qc: Tensor, like_BChw: Tensor) -> Tensor:
    """Returns rows, one a query, as maps [B,c,h,w] of the features that `queries_of` made the queries of."""
    batch, _, height, width = like_BChw.shape
    return rows_Qc.view(batch, height, width, rows_Qc.shape[1]).permute(0, 3, 1, 2)
