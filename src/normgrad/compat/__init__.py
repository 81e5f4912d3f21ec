"""The names under which other libraries have these norms."""

from normgrad.compat import scirs2

__all__ = ["scirs2"]
