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
    """m <- L2norm(m + w Q): each item moves to the k queries most like it, softmax over those k only.

    Returns new items [N,C]; the old ones are left as they are, since autograd may still need them.
    """
    similarity_NQ = items_NC @ queries_QC.T
    best_Nk, index_Nk = similarity_NQ.topk(min(top_k, queries_QC.shape[0]), dim=1)
    weights_Nk = torch.softmax(best_Nk, dim=1)
    update_NC = (weights_Nk.unsqueeze(-1) * queries_QC[index_Nk]).sum(dim=1)
    return F.normalize(items_NC + update_NC, dim=1)


def nearest_distances(items_NC: Tensor, queries_QC: Tensor) -> Tensor:
    """Squared distances of each query to its nearest and second nearest item, [Q,2]; all are unit vectors."""
    closest_Q2 = (queries_QC @ items_NC.T).topk(2, dim=1).values
    return (2 - 2 * closest_Q2).clamp_min(0)


def spread_items(queries_QC: Tensor, count: int) -> Tensor:
    """First items: `count` queries far from each other (farthest-point sampling from the first query), [count,C]."""
    chosen = [0]
    distance_Q = 1 - queries_QC @ queries_QC[0]
    while len(chosen) < count:
        chosen.append(int(distance_Q.argmax()))
        distance_Q = torch.minimum(distance_Q, 1 - queries_QC @ queries_QC[chosen[-1]])
    return queries_QC[chosen].clone()


class MemoryPool(nn.Module):
    """The items of one stream. Frozen while testing, so that scores don't depend on the order of footage."""

    items: Tensor

    def __init__(self, items: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("items", F.normalize(torch.randn(items, channels), dim=1))

    def forward(self, features_BChw: Tensor) -> tuple[Tensor, Tensor]:
        """Features -> what the memory reads for them [B,C,h,w] and squared distances [B*h*w,2] (see above)."""
        batch, channels, height, width = features_BChw.shape
        queries_QC = queries_of(features_BChw)
        read_QC = read(self.items, queries_QC)
        read_BChw = read_QC.view(batch, height, width, channels).permute(0, 3, 1, 2)
        return read_BChw, nearest_distances(self.items, queries_QC)

    @torch.no_grad()
    def write(self, features_BChw: Tensor, top_k: int) -> None:
        """Take a training step's features in."""
        self.items = write(self.items, queries_of(features_BChw), top_k)

    @torch.no_grad()
    def start(self, features_BChw: Tensor) -> None:
        """Begin from a sample of features."""
        self.items = spread_items(queries_of(features_BChw), self.items.shape[0])
