"""Do our figures agree with the tools that people trust? The same work, measured by each of them and by us.

``trusted_tools`` is the port of a tool and makes its environment; ``aiperf``, ``guidellm`` and ``vllm_bench`` each know
one command line and one report. ``own_figures`` reads what the product exports, ``engine_figures`` what the engine says
of itself; ``differences`` compares by definition, and ``legs`` lets them all work, one after the other.
"""
