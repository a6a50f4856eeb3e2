"""`python -m yearling`, and the command `yearling`."""

from __future__ import annotations

import signal


def main() -> None:
    """Run the command line. A Ctrl-C while it is being imported ends the process as any other program, without a traceback."""
    is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_default:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from yearling.cli.main import main as run

    if is_default:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
