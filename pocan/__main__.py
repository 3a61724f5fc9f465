"""The program ``pocan``: Ctrl-C ends it without a traceback also before and after the command itself."""

import signal
import sys


def main() -> None:
    """Run the command line."""
    try:
        # Imported here: it takes a part of a second, in which Ctrl-C may come.
        from pocan.cli import app

        app()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)  # as pipeline.command_line.INTERRUPTED, which may not be loaded
    finally:
        # Python then ends libraries and threads: Ctrl-C ends the process at once, and nobody prints where it was.
        signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    main()
