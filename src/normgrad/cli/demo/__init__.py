"""``normgrad demo``: the library on a real matrix, beside its peers, and put to use."""

from normgrad.cli.demo.command import demo

__all__ = ["demo"]
