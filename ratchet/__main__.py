"""`ratchet …` and `python -m ratchet …`: the way into the command line.

An agent waits for `ratchet stdio`, so that command is recognised here, before anything of the CLI is imported.
"""

import sys


def main() -> int:
    """Run the command line.

    Returns:
        The exit code.
    """
    if sys.argv[1:2] == ["stdio"] and not {"--help", "-h"} & set(sys.argv):
        from ratchet.shim import main as stdio

        return stdio(sys.argv[2:])
    from ratchet.cli.app import run_command

    return run_command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
