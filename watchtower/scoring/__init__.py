"""How alike are two answers? Comparison is pure; embeddings are made in a child process that alone imports torch.

``measures``: everything pure. ``scorer_child`` and ``embeddings_server`` are the two places embeddings come from,
``worker`` is the child's own side. No text is logged, kept or put into an error here.
"""
