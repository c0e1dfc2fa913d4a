"""What the HTML reports share: one page skeleton with its style, images as data URIs, heat overlays.

A page is self-contained: inline CSS, inline SVG, JPEG data URIs, no script, and a content policy that forbids
any request.
"""

from __future__ import annotations

import base64
import html

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""[H, W, 3] RGB."""

STYLE = """
:root { --ink: #1c2430; --soft: #5b6675; --line: #dde2e8; --paper: #ffffff; --wash: #f5f7f9;
        --accent: #1f5fbf; --alarm: #c8352b; --span: #f6d5d0; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--wash); color: var(--ink);
       font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 24px 56px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; }
h2 { font-size: 18px; margin: 0 0 10px; }
h3 { font-size: 15px; margin: 18px 0 6px; }
p { margin: 0 0 10px; max-width: 88ch; }
p.soft { max-width: 110ch; }
table + p { margin: 10px 0 0; }
p + table { margin: 18px 0 0; }
a { color: var(--accent); }
.soft, figcaption, caption { color: var(--soft); font-size: 13px; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 8px;
          padding: 20px 22px; margin: 20px 0 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: 6px; }
th, td { text-align: left; padding: 6px 10px; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { color: var(--soft); font-size: 13px; font-weight: 600; }
tbody tr:last-child th, tbody tr:last-child td { border-bottom: 0; }
tbody th { font-weight: 600; white-space: nowrap; }
td.number, th.number { text-align: right; white-space: nowrap; }
figure { margin: 0; }
img { display: block; width: 100%; height: auto; border-radius: 4px; background: var(--wash); }
svg { display: block; width: 100%; height: auto; }
.gallery { display: grid; gap: 18px; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); }
.pair { display: grid; gap: 4px; grid-template-columns: 1fr 1fr; }
.triple { display: grid; gap: 4px; grid-template-columns: 1fr 1fr 1fr; margin-top: 14px; }
.key { display: inline-block; width: 12px; height: 12px; border-radius: 2px; margin: 0 5px 0 14px;
       vertical-align: -1px; }
pre { background: var(--wash); border: 1px solid var(--line); border-radius: 6px; padding: 12px;
      overflow-x: auto; font-size: 12.5px; }
@media (max-width: 640px) { main { padding: 18px 12px 40px; } section { padding: 14px; } }
@media print { body { background: #fff; } section { break-inside: avoid; } }
"""

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(title: str, body: str) -> str:
    """A whole HTML document. `title` is escaped, `body` is markup already (escape what came from users)."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def jpeg_uri(image_rgb: Image, quality: int = 85) -> str:
    """A JPEG of an [H, W, 3] RGB image as a data URI. Raises ValueError where it cannot be encoded."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"image of shape {image_rgb.shape}: cannot be encoded as JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def heat_overlay(image_rgb: Image, tiles: npt.NDArray[np.floating], vmax: float) -> Image:
    """Lay a map of tiles over a picture: [H, W, 3] RGB and tiles [16, 16] -> [H, W, 3] RGB.

    The picture is greyed, so that the colour is the map's alone; opacity grows with its values up to `vmax`.
    """
    height, width = image_rgb.shape[:2]
    level = np.clip(np.asarray(tiles, np.float32) / max(vmax, 1e-12), 0.0, 1.0)
    level = np.clip(cv2.resize(level, (width, height), interpolation=cv2.INTER_LINEAR), 0.0, 1.0)
    heat = cv2.applyColorMap((level * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1].astype(np.float32)
    grey = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None]
    opacity = 0.85 * np.sqrt(level)[..., None]
    blend: Image = np.clip(grey * (1 - opacity) + heat * opacity, 0, 255).astype(np.uint8)
    return blend
