"""``python -m watchtower.cli``."""

from watchtower.cli.root import main

main()
