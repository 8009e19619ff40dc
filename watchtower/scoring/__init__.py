"""How alike are two answers? Comparison is pure; embeddings are made in a child process that alone imports torch.

Pure: ``texts``, ``agreement``, ``logprobs``, ``calibration``, ``pieces``, ``governor``. No text is logged, kept or put
into an error here.
"""
