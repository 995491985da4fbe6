"""Report what works on this machine and what does not; exit with 1 when something is broken."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

try:
    from sensorfusion.doctor import examine, report
except ModuleNotFoundError as error:
    root = Path(__file__).resolve().parents[1]
    sys.exit(
        f"{error}\n"
        f"  what to do: run {root}/quickstart --setup-only\n"
        f"  then {root}/.venv/bin/python {__file__}"
    )


def main() -> int:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    arguments = parser.parse_args()
    findings = examine()
    if arguments.json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        print(report(findings))
    return int(any(finding.status == "trouble" for finding in findings))


if __name__ == "__main__":
    sys.exit(main())
