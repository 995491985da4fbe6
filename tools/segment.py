"""Segment points with a run's encoder: tools/segment.py RUN [--protocol linear finetune]."""

import sys

from sensorfusion.evaluation.segmentation_command import main

if __name__ == "__main__":
    sys.exit(main())
