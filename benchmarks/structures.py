"""Matrix types against the arrays they stand for, for growing n, and where no array fits.

    python benchmarks/structures.py [OUT.json]

Value and gradient of each type, and of the array it stands for by NumPy: its SVD and the gradient
made from it; the two take turns. Beyond n = 2000 the array is left out, which at the largest
sizes would not fit into memory.
"""

import json
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

import normgrad
from normgrad.cli.timing import alternate

DENSE_UP_TO = 2000
rng = np.random.default_rng(0)


class Row(NamedTuple):
    """A type, a norm, and the sizes n; `make` returns the n x n matrix."""

    name: str
    ord: Any
    make: Callable[[int], Any]
    sizes: tuple[int, ...]


def low_rank(n: int) -> Any:
    return normgrad.LowRank(rng.standard_normal((n, 20)), rng.standard_normal((20, n)))


def sparse(n: int) -> Any:
    count = 10 * n
    places = rng.integers(0, n, (2, count))
    return scipy.sparse.coo_array((rng.standard_normal(count), places), (n, n)).tocsr()


def kronecker(n: int) -> Any:
    m = int(n**0.5)
    return normgrad.Kronecker(rng.standard_normal((m, m)), rng.standard_normal((m, m)))


def convolution(n: int, padding: str = "circular") -> Any:
    side = int((n / 4) ** 0.5)
    return normgrad.Convolution2d(rng.standard_normal((4, 4, 3, 3)), (side, side), padding)


def blocks(n: int) -> Any:
    return normgrad.BlockDiagonal(rng.standard_normal((n // 10, 10, 10)))


ROWS = (
    Row("Diagonal", "nuc", lambda n: normgrad.Diagonal(rng.standard_normal(n)), (400, 1600, 10**6)),
    Row("BlockDiagonal, 10 x 10", "nuc", blocks, (400, 1600, 50_000)),
    Row("Kronecker", "nuc", kronecker, (400, 1600, 90_000)),
    Row("Kronecker", normgrad.KyFan(10), kronecker, (400, 1600, 90_000)),
    Row("LowRank, rank 20", "nuc", low_rank, (400, 1600, 200_000)),
    Row("sparse, 10 in a row", "fro", sparse, (400, 1600, 200_000)),
    Row("sparse, 10 in a row", 2, sparse, (400, 1600, 100_000)),
    Row("sparse + LowRank", 2, lambda n: low_rank(n) + sparse(n), (400, 1600, 100_000)),
    Row("Convolution2d, circular", 2, convolution, (400, 1600, 65_536)),
    Row("Convolution2d, circular", "nuc", convolution, (400, 1600, 65_536)),
    Row("Convolution2d, zeros", 2, lambda n: convolution(n, "zeros"), (400, 1600, 16_384)),
)


def dense_gradient(A: Any, ord: Any) -> Any:
    """Return value and gradient as a user of NumPy has them."""
    if ord == "fro":
        return np.linalg.norm(A), A / np.linalg.norm(A)
    U, s, Vh = np.linalg.svd(A, full_matrices=False)
    k = {"nuc": len(s), 2: 1}.get(ord) or ord.k
    return s[:k].sum(), U[:, :k] @ Vh[:k]


def array_of(A: Any) -> Any:
    return A.toarray() if scipy.sparse.issparse(A) else A.dense()


def measure(row: Row, n: int) -> dict[str, Any]:
    """Return the times for one size, and how far the two values are apart."""
    A = row.make(n)
    calls = {"ours": lambda: normgrad.value_and_grad(A, row.ord)}
    result = {"type": row.name, "ord": str(row.ord), "shape": list(A.shape)}
    if A.shape[0] <= DENSE_UP_TO:
        array = array_of(A)
        calls["dense"] = lambda: dense_gradient(array, row.ord)
        ours, dense = calls["ours"]()[0], calls["dense"]()[0]
        result["apart"] = abs(float(ours) / float(dense) - 1)
    times = alternate(calls, 5, sample=0.02, slow=0.3, within=1.2, patience=10.0)
    result |= {who: min(seconds) for who, seconds in times.items()}
    return result


def main(out: str | None = None) -> None:
    print(f"{'type':26}{'norm':>14}{'n':>9}{'ours, ms':>10}{'dense, ms':>11}{'ratio':>8}")
    results = []
    for row in ROWS:
        for n in row.sizes:
            results.append(r := measure(row, n))
            dense = f"{1e3 * r['dense']:11.4g}{r['dense'] / r['ours']:8.3g}" if "dense" in r else ""
            norm = r["ord"].removesuffix(" norm")
            print(
                f"{row.name:26}{norm:>14}{r['shape'][0]:9}{1e3 * r['ours']:10.4g}{dense}",
                flush=True,
            )
            assert r.get("apart", 0) < 1e-10, r
    if out:
        with open(out, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
