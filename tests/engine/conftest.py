"""Lets the tests here and in `reliability`, and the configs that they write, import the toys."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
