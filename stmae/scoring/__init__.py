"""From raw scores to return periods and events."""

DETECTORS = ("prediction", "motion", "appearance", "persistence")
CLAIM = 100.0
"""Return periods are claimed up to so many times the length of the calibration footage."""
