"""``watchtower compare``: are these two sets of answers to the same prompts the same, different, or too few to tell?

``answer_files`` reads, ``sameness`` and ``likelihood`` decide, ``comparison_report`` draws.
"""
