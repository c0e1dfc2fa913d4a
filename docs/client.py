"""Ask a running Triton for the scores of a segment: nothing but tritonclient and numpy (and OpenCV for a video).

    python docs/client.py --url 127.0.0.1:8001 --deployment walkway [--video FILE]

A request is a segment: T >= 5 consecutive frames, uint8 [T,S,S,3] RGB. Each frame from the fifth on gets a PSNR
in dB (low = badly predicted), the distances of its clip's features to the memory, and 16 x 16 maps: the prediction
error, the deviation from the location's normal appearance, the distance of what moves to its nearest neighbour in the
feature bank, and the flow from the frame before.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import tritonclient.grpc as triton

OUTPUTS = ("PSNR", "MEMORY_DISTANCE", "ERROR_TILES", "LOCATION_TILES", "FEATURE_TILES", "FLOW_TILES")


def noise(count: int, size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def read(path: str, count: int, size: int) -> np.ndarray:
    import cv2

    video = cv2.VideoCapture(path)
    frames = []
    while len(frames) < count:
        decoded, image = video.read()
        if not decoded:
            raise SystemExit(f"{path}: {len(frames)} frames can be read, {count} are asked for")
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
        frames.append(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    return np.stack(frames)


def main() -> None:
    parser = argparse.ArgumentParser(description="Score a segment with a running Triton.")
    parser.add_argument("--url", default="127.0.0.1:8001", help="host:port of Triton's gRPC")
    parser.add_argument("--deployment", default="walkway", help="name of the ensemble")
    parser.add_argument("--video", help="take the frames of this video; without it, noise")
    parser.add_argument("--frames", type=int, nargs="+", default=[5, 64], help="lengths T of the segments")
    arguments = parser.parse_args()

    # No channel_args: with some of one's own, messages are limited to 4 MB.
    server = triton.InferenceServerClient(arguments.url)
    metadata = server.get_model_metadata(arguments.deployment)
    size = metadata.inputs[0].shape[1]
    for count in arguments.frames:
        frames = read(arguments.video, count, size) if arguments.video else noise(count, size)
        tensor = triton.InferInput("FRAMES", list(frames.shape), "UINT8")
        tensor.set_data_from_numpy(frames)
        # Ask for all outputs: a subset of an ensemble's outputs can wait for ever.
        outputs = [triton.InferRequestedOutput(name) for name in OUTPUTS]
        started = time.monotonic()
        result = server.infer(arguments.deployment, [tensor], outputs=outputs, client_timeout=120)
        seconds = time.monotonic() - started
        shapes = "  ".join(f"{name} {list(result.as_numpy(name).shape)}" for name in OUTPUTS)
        psnr = result.as_numpy("PSNR")
        print(f"T={count}: {shapes}  PSNR {psnr.min():.2f}..{psnr.max():.2f} dB  {1000 * seconds:.0f} ms")


if __name__ == "__main__":
    main()
