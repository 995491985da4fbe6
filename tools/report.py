"""Write a page about a run: tools/report.py RUN [--out FILE.html] [--sample NUMBER]."""

import sys

from sensorfusion.report.command import main

if __name__ == "__main__":
    sys.exit(main())
