"""The program ``pocan``: Ctrl-C ends it with one line also while the command itself is being loaded."""

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


if __name__ == "__main__":
    main()
