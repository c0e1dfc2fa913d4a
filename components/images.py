"""The file that names the images of this checkout by their digests."""

import os
import re
from pathlib import Path

import yaml

IMAGES = Path(os.environ.get("STMAE_IMAGES") or Path(__file__).parents[1] / "k8s" / "images" / "kustomization.yaml")
"""The kustomize component with registry and digest of each image."""
NAME = "stmae-train"


class ImageError(ValueError):
    """Raised where no image is named by its digest; the message names the file, the field and the mend."""


def base_image(path: Path) -> str:
    """Returns `registry/name@sha256:...` of the training image. Raises ImageError.

    Kubeflow's cache compares this string. A tag would stay the same when the code in the image changes.
    """
    try:
        images = yaml.safe_load(path.read_text(encoding="utf-8"))["images"]
        (image,) = (each for each in images if each["name"] == NAME)
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file; `make images` writes it, STMAE_IMAGES names another one") from None
    except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise ImageError(f"{path}: images: must name {NAME} once ({error!r}); `make images` writes the file") from None
    name, digest = str(image.get("newName", "")), str(image.get("digest", ""))
    if not name:
        raise ImageError(f"{path}: images: {NAME}: newName is missing; write registry/{NAME}, or run `make images`")
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise ImageError(
            f"{path}: images: {NAME}: digest = {digest!r}: must be sha256: and 64 hexadecimal digits, "
            "as the registry names a pushed image; run `make images`"
        )
    return f"{name}@{digest}"
