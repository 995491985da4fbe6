"""Make a table of recipes: tools/table.py TABLE [--stage choose|test] [--only ROW ...]."""

import sys
from pathlib import Path

from sensorfusion.engine.table import main

if __name__ == "__main__":
    sys.exit(main(Path(__file__).with_name("pretrain.py")))
