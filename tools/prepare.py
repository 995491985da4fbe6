"""Prepare what a training needs: tools/prepare.py superpixels IMAGES OUT [--set KEY=VALUE ...]."""

import sys

from sensorfusion.prepare import main

if __name__ == "__main__":
    sys.exit(main())
