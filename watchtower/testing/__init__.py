"""Fakes and contract suites for plug-in authors; held to the same promises as the real parts."""
