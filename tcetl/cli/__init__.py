"""The ``tcetl`` command: a thin face on :mod:`tcetl.pipeline`, one module per group of commands.

Modules here import the rooms inside functions: ``tcetl --help`` stays quick, and a command needs only its own extras.
"""


def main() -> None:
    """Run the ``tcetl`` command; ends the process with the exit code that :mod:`tcetl.cli.errors` lists."""
    from tcetl.cli.app import app

    app(prog_name="tcetl")
