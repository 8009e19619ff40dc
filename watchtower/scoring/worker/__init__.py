"""The scorer child's own side: the only place that imports torch and sentence-transformers."""
