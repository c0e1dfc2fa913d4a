"""The `[walkway]` table of a configuration: which synthetic scenes are filmed, and what happens in them."""

from __future__ import annotations

import dataclasses

from stmae.config import Config, build, check, nearest

ANOMALY_KINDS = ("cyclist", "cart", "runner", "fallen", "object", "loiterer", "wrong-way")
"""What a scene can show besides walkers."""
NORMAL_MOVERS = ("", "cart", "runner", "cyclist")
"""The kind that is normal in scene 1, 2, 3, 4."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class WalkwayConfig:
    """The synthetic scenes that the reader `walkway` films."""

    seed: int = 7
    scenes: int = 1
    """How many of the four scenes; with more than one, each has `train_clips` and `test_clips`."""
    first_scene: int = 1
    anomalies: str = "cyclist,cart,runner,fallen"
    """Comma-separated kinds that the test clips of a scene show in turn; kinds that are normal in it are left out."""
    one_way: bool = False
    """Walkers keep to lanes: to the left on the far half of the pavement, to the right on the near half."""
    train_clips: int = 8
    test_clips: int = 8
    frames: int = 160
    """Frames of each clip."""
    height: int = 144
    width: int = 192
    fps: float = 10.0
    walkers: int = 3
    """Mean number of people in view."""

    @classmethod
    def of(cls, config: Config) -> WalkwayConfig:
        """Returns the table of a configuration with defaults filled in. Raises ConfigError for a mistake in it."""
        return build(cls, config.walkway, f"configuration {config.name}", "walkway.")

    def __post_init__(self) -> None:
        check(self.train_clips >= 2, "walkway.train_clips", self.train_clips, "at least 2 (one is for calibration)")
        for key, least in (("test_clips", 1), ("walkers", 1), ("frames", 30)):
            check(getattr(self, key) >= least, f"walkway.{key}", getattr(self, key), f"at least {least}")
        for key in ("height", "width"):  # video codecs want even sizes
            size = getattr(self, key)
            check(size >= 48 and size % 2 == 0, f"walkway.{key}", size, "even, at least 48")
        check(0 < self.fps <= 1000, "walkway.fps", self.fps, "in (0, 1000]")
        count = len(NORMAL_MOVERS)
        check(1 <= self.scenes <= count, "walkway.scenes", self.scenes, f"1 to {count}")
        last = count + 1 - self.scenes
        check(1 <= self.first_scene <= last, "walkway.first_scene", self.first_scene, f"1 to {last}")
        for kind in self._kinds():
            must = f"a list of {', '.join(ANOMALY_KINDS)}{nearest(kind, ANOMALY_KINDS)}"
            check(kind in ANOMALY_KINDS, "walkway.anomalies", self.anomalies, must)
            usable = self.one_way or kind != "wrong-way"
            check(usable, "walkway.anomalies", self.anomalies, "without wrong-way unless walkway.one_way = true")
        for scene in self.scene_numbers():
            must = f"a list with a kind that is not normal in scene {scene}"
            check(bool(self.anomalies_in(scene)), "walkway.anomalies", self.anomalies, must)

    def scene_numbers(self) -> range:
        """Returns the numbers of the scenes to film."""
        return range(self.first_scene, self.first_scene + self.scenes)

    def anomalies_in(self, scene: int) -> tuple[str, ...]:
        """Returns the kinds that the test clips of a scene show in turn."""
        return tuple(kind for kind in self._kinds() if kind != NORMAL_MOVERS[scene - 1])

    def _kinds(self) -> list[str]:
        return [kind.strip() for kind in self.anomalies.split(",") if kind.strip()]
