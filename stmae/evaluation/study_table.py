"""The table of a study: what each of its variants reached with each seed.

Standard library and the configuration only.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stmae.config import from_json
from stmae.evaluation import MEMORY_FIGURES, ROWS
from stmae.evaluation.study import Columns

FIGURES = (
    *(f"{row}_auc_{transform}" for row in ROWS for transform in ("micro_raw", "macro", "micro_per_video")),
    "pixel_auc",
    "calibration_psnr",
    *MEMORY_FIGURES,
)
"""Figures of an evaluation that studies compare."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What a variant reached."""

    name: str
    columns: Columns
    row: int
    """Row of the variant in the study's table."""
    seed: int
    figures: dict[str, float]
    evaluation: str
    """Where its evaluation is."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """The results of a study, by variant, then by seed."""

    study: str
    config: str
    """Name of the configuration."""
    variants: list[Result]

    @classmethod
    def of(cls, study: str, variants: Sequence[Mapping[str, Any]], folders: Mapping[str, Path]) -> Table:
        """Puts evaluations, and tables made before, into one table: folder by the address under which it is known.

        `variants` are those of the evaluations, as `to_json` lists them; tables need none.
        Raises ValueError for an evaluation of a model that is not in the study.
        """
        tables = [
            cls.load(folder) if (folder / "study.json").exists() else _evaluated(study, variants, address, folder)
            for address, folder in folders.items()
        ]
        results = sorted((one for table in tables for one in table.variants), key=lambda one: (one.row, one.seed))
        return cls(study=study, config=tables[0].config, variants=results)

    @classmethod
    def load(cls, folder: Path) -> Table:
        """Reads what `save` wrote."""
        table = json.loads((folder / "study.json").read_text(encoding="utf-8"))
        variants = [Result(**one) for one in table["variants"]]
        return cls(study=table["study"], config=table["config"], variants=variants)

    def save(self, folder: Path) -> None:
        """Writes `study.json`: the table, and its figures as `by_seed` has them."""
        folder.mkdir(parents=True, exist_ok=True)
        content = {**dataclasses.asdict(self), "seeds": self.seeds, "figures": self.by_seed()}
        (folder / "study.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    @property
    def seeds(self) -> list[int]:
        return sorted({one.seed for one in self.variants})

    def rows(self) -> dict[str, list[Result]]:
        """Returns the results of each variant, one a seed."""
        rows: dict[str, list[Result]] = {}
        for one in self.variants:
            rows.setdefault(one.name, []).append(one)
        return rows

    def by_seed(self) -> dict[str, list[float]]:
        """Returns the values of each figure in the order of the seeds.

        A figure is called `<variant>_<figure>`, or `<figure>` where there is one variant only.
        """
        rows = self.rows()
        flat: dict[str, list[float]] = {}
        for name, results in rows.items():
            prefix = f"{name.replace('-', '_')}_" if len(rows) > 1 else ""
            flat |= {f"{prefix}{figure}": values for figure in FIGURES if (values := values_of(results, figure))}
        return flat


def values_of(results: Sequence[Result], figure: str) -> list[float]:
    """Returns a figure of each result; none where footage has no labels."""
    return [one.figures[figure] for one in results if figure in one.figures]


def _evaluated(study: str, variants: Sequence[Mapping[str, Any]], address: str, folder: Path) -> Table:
    evaluation: dict[str, Any] = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    config = from_json(json.dumps(evaluation["config"]))
    for row, variant in enumerate(variants):
        if from_json(variant["config"]) == config:
            result = Result(
                name=variant["name"],
                columns=json.loads(variant["columns"]),
                row=row,
                seed=config.seed,
                figures=evaluation["figures"],
                evaluation=address,
            )
            return Table(study=study, config=config.name, variants=[result])
    raise ValueError(f"{folder / 'evaluation.json'}: its model is not one of the study {study!r}")
