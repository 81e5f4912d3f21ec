"""``normgrad bench``: times and memory beside the peers' and beside what the machine can do."""

from normgrad.cli.bench.command import bench

__all__ = ["bench"]
