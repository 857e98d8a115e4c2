"""The command line: one module per subcommand, each with `register`."""

from stepvisor.cli.main import main

__all__ = ("main",)
