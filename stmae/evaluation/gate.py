"""The gate before promotion: a model must be no worse than the one that is served.

What is compared is evaluation.json of both. With labels it is the frame AUC of the combined score; without, how many
alerts a day normal footage raises under calibrations that have not seen it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

FIGURE = "combined_auc_micro_raw"
Evaluation = Mapping[str, Any]
"""The content of evaluation.json."""


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one comparison."""

    passed: bool
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """The verdict on each deployment of a model."""

    verdicts: Mapping[str, Verdict]

    @property
    def passed(self) -> bool:
        """Returns whether every deployment may be promoted. They are of one training, and are promoted together."""
        return all(verdict.passed for verdict in self.verdicts.values())

    @property
    def reasons(self) -> list[str]:
        """Returns a line for each deployment."""
        return [f"{deployment}: {verdict.reason}" for deployment, verdict in self.verdicts.items()]

    def to_markdown(self) -> str:
        """Returns a page with the decision and its reasons."""
        head = "Promoted" if self.passed else "Not promoted: `stmae promote` does it all the same"
        return "\n".join([f"# {head}", "", *(f"- {reason}" for reason in self.reasons), ""])


def decide(
    candidate: Evaluation,
    served: Callable[[str], Evaluation | None],
    *,
    auc_tolerance: float,
    alert_tolerance: float,
) -> Decision:
    """Compares a model with what is served; `served` returns the evaluation of a deployment's promoted version."""
    name = candidate["name"]
    scenes = {f"{name}-{scene}" if scene else name: scene for scene in candidate["calibration"]}
    return Decision(
        {
            deployment: compare(
                candidate,
                served(deployment),
                scene=scene,
                auc_tolerance=auc_tolerance,
                alert_tolerance=alert_tolerance,
            )
            for deployment, scene in scenes.items()
        }
    )


def compare(
    candidate: Evaluation, served: Evaluation | None, *, scene: str, auc_tolerance: float, alert_tolerance: float
) -> Verdict:
    """Returns whether a model is no worse than the served one, and why.

    Args:
        candidate: The evaluation of the new model.
        served: The evaluation of the promoted version; None where there is none.
        scene: The scene of the deployment; empty where the dataset has one.
        auc_tolerance: So much lower the frame AUC may be.
        alert_tolerance: By so large a fraction the alert rate may rise.
    """
    if served is None:
        return Verdict(passed=True, reason="nothing was served before")
    ours, theirs = _auc(candidate), _auc(served)
    if ours is not None and theirs is not None:
        reason = f"AUC {ours:.4f}, served {theirs:.4f}, tolerance {auc_tolerance:g}"
        return Verdict(passed=ours >= theirs - auc_tolerance, reason=reason + _on_other_clips(candidate, served))
    rates = _alerts_per_day(candidate, scene), _alerts_per_day(served, scene)
    if rates[0] is None or rates[1] is None:
        missing = "the new" if ours is None and rates[0] is None else "the served"
        return Verdict(
            passed=missing == "the served" and theirs is None,
            reason=f"{missing} version has neither AUC nor alert rate to compare",
        )
    alone = _calibration(candidate, scene)["alerts"] <= 1  # one alert in all of the footage says nothing of its rate
    return Verdict(
        passed=bool(alone or rates[0] <= rates[1] * (1 + alert_tolerance)),
        reason=f"{rates[0]:.2f} alerts a day on normal footage, served {rates[1]:.2f}, tolerance {alert_tolerance:.0%}",
    )


def _auc(evaluation: Evaluation) -> float | None:
    value = evaluation.get("figures", {}).get(FIGURE)
    return None if value is None else float(value)


def _calibration(evaluation: Evaluation, scene: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = evaluation.get("calibration", {}).get(scene, {})
    return found


def _alerts_per_day(evaluation: Evaluation, scene: str) -> float | None:
    measured = _calibration(evaluation, scene)
    alerts, hours = measured.get("alerts"), measured.get("hours", 0.0)
    return None if alerts is None or not hours else 24 * alerts / hours


def _on_other_clips(candidate: Evaluation, served: Evaluation) -> str:
    """Says so where the two AUCs are not of the same test clips."""
    ours, theirs = (
        sorted((clip["name"], clip["frames"]) for clip in one.get("clips", ())) for one in (candidate, served)
    )
    return "" if ours == theirs else f"; of other test clips ({len(ours)}, served {len(theirs)})"
