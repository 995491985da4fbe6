"""Draw the picture of the README: a generated clip, as every sensor sees it.

python docs/make_images.py
"""

from __future__ import annotations

from pathlib import Path

from sensorfusion.datasets.generated_motion import GeneratedMotion
from sensorfusion.sensors.drawing import draw_sample

CLIP = 0  # a wave


def main() -> None:
    """Write `docs/images/sample.png`."""
    sample = GeneratedMotion(64, sensors=("skeleton", "camera", "imu"))[CLIP]
    figure = draw_sample(sample)
    figure.set_size_inches(12, 8)
    figure.savefig(Path(__file__).parent / "images" / "sample.png", dpi=90)


if __name__ == "__main__":
    main()
