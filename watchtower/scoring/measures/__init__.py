"""How alike are two answers, what is broken in one, and how much of that there is CPU for.

Pure: texts and numbers in, numbers out. No process, no clock; no text is logged, kept or put into an error here.
"""
