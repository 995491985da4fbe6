"""Pretrain encoders: tools/pretrain.py CONFIG [--work-dir DIR] [--cfg-options KEY=VALUE ...]."""

import sys

from sensorfusion.engine.command import main

if __name__ == "__main__":
    sys.exit(main())
