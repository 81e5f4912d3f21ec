"""Files in and out: one reader for each kind, and one table of the suffixes."""

from normgrad.cli.files.content import Content
from normgrad.cli.files.reading import READERS, count_nonfinite, read
from normgrad.cli.files.writing import check_target, replacing

__all__ = ["READERS", "Content", "check_target", "count_nonfinite", "read", "replacing"]
