"""Peak memory beyond the matrix, each contender in a process of its own."""

import contextlib
import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

from normgrad.cli.bench.peers import duel
from normgrad.cli.bench.rows import Row
from normgrad.cli.bench.samples import sample_of
from normgrad.cli.errors import CommandError

__all__ = ["main", "peak"]

_MAIN = "from normgrad.cli.bench.memory import main; main()"
_WARM = (96, 64)
"""The shape of the matrix at which libraries load what they need, and start their threads."""

_PAGE = 4096
"""Bytes: what is less can not be told from nothing."""


def peak(row: Row, who: str) -> float:
    """Return the memory that a call takes at most, in matrices, without the matrix itself.

    Parameters
    ----------
    row : Row
    who : {"ours", "peer"}
    """
    done = subprocess.run(
        [sys.executable, "-c", _MAIN, json.dumps(asdict(row)), who],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise CommandError(f"{row.name}: {who} failed with {done.stderr.strip() or 'no message'}")
    return float(done.stdout)


def main() -> None:
    """Measure in this process, whose two arguments say what; print the number."""
    fields, who = json.loads(sys.argv[1]), sys.argv[2]
    row = Row(**{**fields, "shape": tuple(fields["shape"])})
    getattr(duel(row, sample_of(replace(row, shape=_WARM)).x), who)()
    x = sample_of(row).x
    call = getattr(duel(row, x), who)
    before = _forget_peak()
    call()
    print(max(_peak() - before, _PAGE) / x.nbytes)


def _forget_peak() -> int:
    """Return the bytes in use, or the peak so far where the system does not forget it."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    with contextlib.suppress(OSError, IndexError):
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
