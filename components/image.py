"""The container image of every step: the library with its `train` and `serve` extras, and kfp."""

import os

BASE_IMAGE = os.environ.get("STMAE_IMAGE", "stmae/train:0.1.0")
"""Read when pipelines are compiled. A digest (`...@sha256:...`) is best: the cache key of a step holds this string."""
