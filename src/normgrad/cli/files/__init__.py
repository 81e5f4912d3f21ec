"""Files in and out: one reader for each kind, and one table of the suffixes."""

from normgrad.cli.files.content import Content
from normgrad.cli.files.reading import SUFFIXES, count_nonfinite, read
from normgrad.cli.files.writing import check_target, replacing

__all__ = ["SUFFIXES", "Content", "check_target", "count_nonfinite", "read", "replacing"]
