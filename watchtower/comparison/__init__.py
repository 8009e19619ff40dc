"""``watchtower compare``: are these two sets of answers to the same prompts the same, different, or too few to tell?

``reading`` takes the files, ``judging`` decides (over ``detectors.paired`` and ``scoring``), ``showing`` draws.
"""
