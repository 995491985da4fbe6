"""Superpixels of camera images: scikit-image's SLIC with SLidR's settings against the package's.

All run in one process on one thread, alternating, image by image; a simple way to be faster,
scikit-image on a reduced image with the labels enlarged, is a third party. Quality is printed
beside the time: against the peer's segments, against edges of the image (Canny), and the share of
colour variance that segments explain. The peer's segments of the mirrored image, mirrored back,
show how far two equally good results of the same algorithm lie apart.

    python benchmarks/superpixels.py IMAGE ... [--repeats 5] [--threads 1] [--picture OUT.png]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import skimage

from sensorfusion.sample import Array
from sensorfusion.superpixels import quality
from sensorfusion.superpixels.lookup import resize_labels
from sensorfusion.superpixels.pictures import decode
from sensorfusion.superpixels.slic import Slic, SlicReference

TOLERANCE = 4.0  # pixels between a border and an edge
COLUMNS = ("segments", "accuracy", "underseg.", "recall", "edges", "variance")


def edges(pixels_HW3: Array) -> Array:
    """Strong edges at the scale of 2 pixels, bool [H, W]."""
    grey_HW = cv2.GaussianBlur(cv2.cvtColor(pixels_HW3, cv2.COLOR_RGB2GRAY), (0, 0), 2)
    return cv2.Canny(grey_HW, 40, 100) > 0


def measures(labels_HW: Array, peer_HW: Array, pixels_HW3: Array) -> list[float]:
    """The columns of the table."""
    lab_HW3 = cv2.cvtColor(np.float32(pixels_HW3) / 255, cv2.COLOR_RGB2LAB)
    return [
        len(np.unique(labels_HW)),
        quality.achievable_accuracy(labels_HW, peer_HW),
        quality.undersegmentation(labels_HW, peer_HW),
        quality.boundary_recall(labels_HW, quality.borders(peer_HW), TOLERANCE),
        quality.boundary_recall(labels_HW, edges(pixels_HW3), TOLERANCE),
        quality.explained_variation(labels_HW, lab_HW3),
    ]


def reduced(pixels_HW3: Array) -> Array:
    """scikit-image's segments of the image at half size."""
    height, width = pixels_HW3.shape[:2]
    half = cv2.resize(pixels_HW3, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return resize_labels(SlicReference(sigma=1.5).segment(half), height, width)


def timed(method: Callable[[Array], Array], pixels_HW3: Array) -> tuple[float, Array]:
    """Milliseconds and labels."""
    start = time.perf_counter()
    labels_HW = method(pixels_HW3)
    return 1e3 * (time.perf_counter() - start), labels_HW


def drawn(pixels_HW3: Array, labels_HW: Array) -> Array:
    """The image with borders in yellow, above each segment's mean colour."""
    border_HW = cv2.dilate(np.uint8(quality.borders(labels_HW)), np.ones((2, 2))) > 0
    count_S = np.bincount(labels_HW.ravel())
    sums = [np.bincount(labels_HW.ravel(), pixels_HW3[..., c].ravel()) for c in range(3)]
    mean_HW3 = np.uint8(np.stack(sums, axis=1) / count_S[:, None])[labels_HW]
    return np.concatenate([np.where(border_HW[..., None], (255, 220, 0), pixels_HW3), mean_HW3])


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", nargs="+", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--picture", type=Path, help="left the peer, right ours; the first image")
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    methods = {
        "scikit-image": SlicReference().segment,
        "scikit-image, half size": reduced,
        "ours": Slic().segment,
    }
    milliseconds: dict[str, list[float]] = {name: [] for name in methods}
    rows: dict[str, list[list[float]]] = {}
    for place, path in enumerate(options.images):
        pixels_HW3 = decode(path.read_bytes(), str(path))
        Slic().segment(pixels_HW3)  # compiled, or loaded from the cache
        labels: dict[str, Array] = {}
        for _ in range(options.repeats):
            for name, method in methods.items():
                taken, labels[name] = timed(method, pixels_HW3)
                milliseconds[name].append(taken)
        mirrored_HW3 = np.ascontiguousarray(pixels_HW3[:, ::-1])
        labels["scikit-image, mirrored"] = SlicReference().segment(mirrored_HW3)[:, ::-1]
        for name, labels_HW in labels.items():
            found = measures(labels_HW, labels["scikit-image"], pixels_HW3)
            rows.setdefault(name, []).append(found)
            print(f"{path.stem[-34:]:34} {name:24}", *(f"{x:9.3f}" for x in found), flush=True)
        if place == 0 and options.picture:
            halves = [drawn(pixels_HW3, labels[name]) for name in ("scikit-image", "ours")]
            cv2.imwrite(str(options.picture), np.uint8(np.concatenate(halves, 1))[..., ::-1])
    print(
        f"scikit-image {skimage.__version__}, OpenCV {cv2.__version__}, {options.threads} threads"
    )
    print(f"{'mean of ' + str(len(options.images)) + ' images':24}", *(f"{c:>9}" for c in COLUMNS))
    for name, found in rows.items():
        print(f"{name:24}", *(f"{x:9.3f}" for x in np.mean(found, axis=0)))
    for name, taken in milliseconds.items():
        print(f"{name}: median {statistics.median(taken):.1f} ms per image, least {min(taken):.1f}")
    for name in ("scikit-image, half size", "ours"):
        pairs = zip(milliseconds["scikit-image"], milliseconds[name], strict=True)
        print(
            f"scikit-image / {name}: median ratio {statistics.median(p / o for p, o in pairs):.1f}"
        )


if __name__ == "__main__":
    main()
