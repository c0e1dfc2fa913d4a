"""Frame AUCs that papers state for the public data sets, to print beside a run's own figures.

They are quoted, not reproduced. Their protocols differ: many scale scores within each video or choose the checkpoint on
test data, and few say so. The figure of a run to compare them with is `psnr_auc_micro_per_video`. All methods here rate
whole frames as STM-AE does, but for those of Doshi and Yu, which find objects first. Where sources disagree (Conv-AE on
Avenue) no figure is quoted.
"""

from __future__ import annotations

import dataclasses

STMAE = "abstract, arXiv 2207.13361; ShanghaiTech: as listed at wizwand.com/paper/68fa6d201e209131cea37f3f"
TABLE_1 = "Table 1 of arXiv 2207.13361"
AMAE = "abstract, doi.org/10.1109/tcsii.2022.3161049"
WU = "Wu et al., Deep learning for video anomaly detection: a review (arXiv 2409.05383), github.com/Roc-Ng/DeepVAD"


@dataclasses.dataclass(frozen=True, slots=True)
class Published:
    """A frame AUC as its paper states it."""

    method: str
    venue: str
    auc: float
    """In [0, 1]."""
    source: str
    """Where it can be looked up."""


# Method, venue, AUC by reader, source; STM-AE first, then by year. "Kim et al." and the like are how Table 1 has them.
_TABLE: tuple[tuple[str, str, dict[str, float], str], ...] = (
    ("STM-AE", "ICME 2022", {"ped2": 0.981, "avenue": 0.898, "shanghaitech": 0.738}, STMAE),
    ("Kim et al.", "CVPR 2009", {"ped2": 0.693}, TABLE_1),
    ("Lu et al.", "ICCV 2013", {"avenue": 0.809}, TABLE_1),
    ("Conv-AE", "CVPR 2016", {"ped2": 0.900}, WU),
    ("Xu et al.", "CVIU 2017", {"ped2": 0.908}, TABLE_1),
    ("Tudor Ionescu et al.", "ICCV 2017", {"ped2": 0.822, "avenue": 0.806}, TABLE_1),
    ("Stacked RNN", "ICCV 2017", {"ped2": 0.922, "avenue": 0.817, "shanghaitech": 0.680}, WU),
    ("Frame-Pred", "CVPR 2018", {"ped2": 0.954, "avenue": 0.851, "shanghaitech": 0.728}, WU),
    ("MemAE", "ICCV 2019", {"ped2": 0.941, "avenue": 0.833, "shanghaitech": 0.712}, WU),
    ("AnoPCN (Ye et al.)", "ACM MM 2019", {"ped2": 0.968, "avenue": 0.862, "shanghaitech": 0.736}, TABLE_1),
    ("MNAD", "CVPR 2020", {"ped2": 0.970, "avenue": 0.885, "shanghaitech": 0.705}, WU),
    ("Chang et al.", "ECCV 2020", {"ped2": 0.965, "avenue": 0.860, "shanghaitech": 0.733}, TABLE_1),
    ("Doshi and Yilmaz", "CVPRW 2020", {"ped2": 0.978, "avenue": 0.864, "shanghaitech": 0.716}, TABLE_1),
    ("Yu et al.", "ACM MM 2020", {"ped2": 0.973, "avenue": 0.896, "shanghaitech": 0.746}, TABLE_1),
    ("Zhang et al.", "venue not at hand", {"ped2": 0.954, "avenue": 0.868, "shanghaitech": 0.736}, TABLE_1),
    ("AMMC-Net", "AAAI 2021", {"ped2": 0.966, "avenue": 0.866, "shanghaitech": 0.737}, WU),
    ("MPN", "CVPR 2021", {"ped2": 0.969, "avenue": 0.895, "shanghaitech": 0.738}, WU),
    ("AMAE", "TCAS-II 2022", {"ped2": 0.974, "avenue": 0.882, "shanghaitech": 0.736}, AMAE),
    ("DMAD", "CVPR 2023", {"ped2": 0.997, "avenue": 0.928, "shanghaitech": 0.788}, WU),
    ("AED-MAE", "CVPR 2024", {"ped2": 0.954, "avenue": 0.913, "shanghaitech": 0.791}, WU),
)


def published(dataset: str) -> list[Published]:
    """Returns the figures on the data set of a configuration's reader; none for footage that is no benchmark."""
    return [
        Published(method, venue, aucs[dataset], source) for method, venue, aucs, source in _TABLE if dataset in aucs
    ]
