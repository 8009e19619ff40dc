"""The words every room speaks: values only, no behaviour beyond their own meaning.

Nothing here does I/O, reads a clock or rolls dice, and nothing here imports from the rest of Watchtower.
"""
