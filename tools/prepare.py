"""Prepare what a training needs: tools/prepare.py superpixels IMAGES OUT [--set KEY=VALUE ...].

Or write the simulated world as a data set: tools/prepare.py simulate --format nuscenes --out DIR.
"""

import sys

from sensorfusion.prepare import main

if __name__ == "__main__":
    sys.exit(main())
