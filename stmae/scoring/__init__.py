"""From raw scores to return periods and events."""

DETECTORS = ("prediction", "motion", "appearance", "persistence")
