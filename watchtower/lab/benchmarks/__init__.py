"""``watchtower bench``: our own budgets, measured on this machine beside the peers people know.

Everything that is measured runs in processes of its own; a comparison is only ever made inside one run, in rounds
that take turns, because two runs on a shared machine say more about the machine than about the programs.
"""
