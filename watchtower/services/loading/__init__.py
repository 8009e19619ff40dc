"""Configuration and rules, read together and found consistent: ``load`` raises BadInput with every mistake."""

from watchtower.services.loading.loader import Loaded, load

__all__ = ["Loaded", "load"]
