"""The container image of every step: the library with its `train` and `serve` extras, and kfp."""

from components.images import IMAGES, base_image

BASE_IMAGE = base_image(IMAGES)
"""Read when pipelines are compiled or submitted."""
