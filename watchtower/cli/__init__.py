"""The command line: thin. Every command has ``--help`` with an example; a mistake exits with 2 and says the cure."""

from watchtower.cli.root import app, main

__all__ = ["app", "main"]
