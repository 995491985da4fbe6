"""How commands end: our errors and interruptions as words and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable

from sensorfusion.errors import SensorFusionError

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130  # 128 + SIGINT


def exit_code(command: Callable[[], int], continues: str = "the same command continues") -> int:
    """Run a command; what it returns, or the code of what ended it, told on standard error.

    Args:
        continues: said after "interrupted; ".
    """
    try:
        return command()
    except SensorFusionError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        print(f"interrupted; {continues}", file=sys.stderr)
        return EXIT_INTERRUPTED
