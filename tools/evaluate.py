"""Evaluate runs: tools/evaluate.py RUN ... --protocol linear fusion knn --split ... --out DIR."""

import sys

from sensorfusion.evaluation.command import main

if __name__ == "__main__":
    sys.exit(main())
