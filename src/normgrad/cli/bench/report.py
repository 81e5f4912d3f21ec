"""The results as data."""

import datetime
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from normgrad import __version__
from normgrad.cli.bench.limits import Limits, machine
from normgrad.cli.bench.measure import Result
from normgrad.cli.bench.peers import versions
from normgrad.cli.files import replacing

__all__ = ["write"]


def write(path: Path, results: Sequence[Result], limits: Limits) -> None:
    """Write results as JSON, with the machine and the versions they belong to."""
    content = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "limits": asdict(limits),
        "versions": {"normgrad": __version__, **versions()},
        "rows": [_record(result) for result in results],
    }
    with replacing(path) as draft:
        draft.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _record(result: Result) -> dict[str, object]:
    row = result.row
    ours, peer = result.errors or (None, None)
    return {
        "name": row.name,
        "norm": row.norm,
        "shape": row.shape,
        "matrix": row.matrix or "Gaussian",
        "dtype": row.dtype,
        "library": row.library,
        "call": row.call or "value and gradient",
        "measured in": "matrices" if row.call == "memory" else "seconds",
        "ours": result.ours,
        "peer": result.peer,
        "ratio": result.ratio,
        "turns": result.turns,
        "steady": result.steady,
        "cost": result.cost,
        "cost in": row.unit,
        "error": ours,
        "error of peer": peer,
    }
