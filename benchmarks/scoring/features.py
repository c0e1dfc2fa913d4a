"""The appearance detector and the combined score with each kind of features that describes moving tiles."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from benchmarks.record import commit
from benchmarks.scoring.detectors import evaluated, shown
from benchmarks.scoring.sets import COFFEE_ROOM, FRESH, SLOW, CachedMeasure, Set, trained
from stmae.model.build import build_descriptor
from stmae.model.features import FeatureBank
from stmae.training.adversarial import fit_feature_bank
from stmae.training.windows import Windows

SETS = (COFFEE_ROOM, *FRESH, SLOW)


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """A kind of features, and the size of its bank: by default its own."""

    features: str
    bank_size: int = 0

    @property
    def name(self) -> str:
        return f"{self.features}-{self.bank_size}" if self.bank_size else self.features


SETTINGS = (
    Setting("gradients"),
    Setting("efficientnet-lite0"),
    Setting("efficientnet-lite0", 512),
    Setting("efficientnet-lite0", 8192),
)


def features(data_root: Path, work: Path, names: list[str]) -> dict[str, Any]:
    """Returns the AUCs of the appearance detector and of the combined score by setting and set, with its first seed.

    `names` are sets (all, where there are none). The settings differ in the bank alone: each model is trained once.
    """
    figures: dict[str, Any] = {}
    for one in (one for one in SETS if not names or one.name in names):
        name = one.name.replace("-", "_")
        figures |= {f"{name}_seed": [one.seeds[0]], f"{name}_commit": commit()}
        for setting in SETTINGS:
            result = evaluated(measured(one, setting, data_root, work))
            key = f"{name}_{setting.name.replace('-', '_')}"
            figures |= {f"{key}_{each}": auc for each, auc in shown(result, ("appearance", "combined")).items()}
            print(f"{key}: {figures[f'{key}_appearance_auc_micro_raw']:.4f}, ", end="")
            print(f"combined {figures[f'{key}_combined_auc_micro_raw']:.4f}", flush=True)
    return figures


def measured(one: Set, setting: Setting, data_root: Path, work: Path) -> CachedMeasure:
    """Returns what measures clips with the model of a set and another bank, fitted to the same footage."""
    measure = trained(one, one.seeds[0], data_root, work)
    model = dataclasses.replace(measure.config.model, features=setting.features)
    config = dataclasses.replace(measure.config, model=model)
    descriptor = build_descriptor(config)
    descriptor.load_pretrained()
    descriptor.bank_size = setting.bank_size or descriptor.bank_size
    device = next(measure.model.parameters()).device
    measure.model.feature_bank = FeatureBank(config.model.scenes, descriptor).to(device).eval()
    windows = Windows(config, measure.manifest, "train", device, flow=measure.flow)
    for scene in range(config.model.scenes):
        fit_feature_bank(measure.model, windows, scene)
    return dataclasses.replace(measure, config=config, folder=measure.folder.with_name(f"raw-{setting.name}"))
