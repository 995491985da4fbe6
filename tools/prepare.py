"""Prepare what a training needs: tools/prepare.py superpixels IMAGES OUT [--set KEY=VALUE ...].

Or write the simulated world as a data set: tools/prepare.py simulate --format nuscenes --out DIR.
"""

import argparse
import sys

from sensorfusion.prepare import main


def of_config(options: argparse.Namespace) -> int:
    """Superpixels that a training's config looks up."""
    from sensorfusion.engine.superpixels import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main(of_config=of_config))
