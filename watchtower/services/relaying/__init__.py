"""The data plane as the daemon sees it: relay workers, what they report of themselves, and holds of their traffic."""
