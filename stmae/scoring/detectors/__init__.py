"""The detectors: each judges the tiles of a frame by what normal footage shows there."""
