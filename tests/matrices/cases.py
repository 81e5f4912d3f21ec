"""One small matrix of every type, with its array written down once more, independently.

Every embedding here is linear in each of its parameters, so central differences of the array
give its derivative up to rounding.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import normgrad
from tests.conftest import orthonormal

__all__ = ["CASES", "Case"]


class Case(NamedTuple):
    """A type, the array it stands for, and parameters.

    Parameters
    ----------
    make : callable
        Parameters, of any library, to the matrix type.
    dense : callable
        Parameters, of NumPy, to the array.
    direct : bool
        Whether the parameters are those of the type that is made, and not of an expression.
    """

    name: str
    make: Callable[..., Any]
    dense: Callable[..., Any]
    parameters: tuple[Any, ...]
    direct: bool = True

    def differential(self, direction: tuple[Any, ...]) -> Any:
        """Return the derivative of the array in a direction of the parameters."""
        h = 0.5  # (exact for embeddings up to the second degree, but for rounding)
        ahead, behind = (
            self.dense(*(p + c * h * e for p, e in zip(self.parameters, direction, strict=True)))
            for c in (1, -1)
        )
        return (ahead - behind) / (2 * h)

    def adjoint(self, G: Any) -> tuple[Any, ...]:
        """Return the gradient of ``Re<G, A(theta)>`` in each parameter, entry by entry."""
        results = []
        for i, p in enumerate(self.parameters):
            g = np.zeros_like(p)
            for j in np.ndindex(*p.shape):
                for unit in (1, 1j) if np.iscomplexobj(p) else (1,):
                    e = [np.zeros_like(q) for q in self.parameters]
                    e[i][j] = unit
                    g[j] += unit * np.sum(np.real(np.conj(G) * self.differential(tuple(e))))
            results.append(g)
        return tuple(results)

    def at(self, parameters: tuple[Any, ...]) -> "Case":
        return self._replace(parameters=parameters)

    def direction(self, seed: int = 5) -> tuple[Any, ...]:
        rng = np.random.default_rng(seed)
        return tuple(_normal(rng, p.shape, np.iscomplexobj(p)) for p in self.parameters)


def _normal(rng: Any, shape: tuple[int, ...], is_complex: bool = False) -> Any:
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if is_complex else x


def _diagonal(m: int, n: int) -> Callable[..., Any]:
    def dense(d: Any) -> Any:
        A = np.zeros((m, n), dtype=d.dtype)
        np.fill_diagonal(A, d)
        return A

    return dense


def _sparse(rows: list[int], columns: list[int], m: int, n: int) -> tuple[Any, Any]:
    """Return what makes the matrix type, and what makes the array."""

    def dense(values: Any) -> Any:
        A = np.zeros((m, n), dtype=values.dtype)
        for i, j, x in zip(rows, columns, values, strict=True):
            A[i, j] = x
        return A

    return lambda values: normgrad.Sparse(values, (rows, columns), (m, n)), dense


def _blocks(*blocks: Any) -> Any:
    m, n = sum(b.shape[0] for b in blocks), sum(b.shape[1] for b in blocks)
    A, i, j = np.zeros((m, n), dtype=np.result_type(*blocks)), 0, 0
    for b in blocks:
        A[i : i + b.shape[0], j : j + b.shape[1]] = b
        i, j = i + b.shape[0], j + b.shape[1]
    return A


def _convolution(grid: tuple[int, ...], padding: str) -> Callable[..., Any]:
    """Return what writes down, entry by entry, the operator of a kernel."""

    def dense(kernel: Any) -> Any:
        (p, q), taps = kernel.shape[:2], kernel.shape[2:]
        A = np.zeros((p, *grid, q, *grid), dtype=kernel.dtype)
        every = (slice(None),)
        for point in np.ndindex(*grid):
            for tap in np.ndindex(*taps):
                at = [i + t - (k - 1) // 2 for i, t, k in zip(point, tap, taps, strict=True)]
                inside = all(0 <= i < size for i, size in zip(at, grid, strict=True))
                if inside or padding == "circular":
                    source = tuple(i % size for i, size in zip(at, grid, strict=True))
                    A[every + point + every + source] += kernel[every + every + tap]
        return A.reshape(p * np.prod(grid), q * np.prod(grid))

    return dense


def _cases() -> list[Case]:
    rng = np.random.default_rng(3)

    def normal(*shape: int) -> Any:
        return _normal(rng, shape)

    def complex_(*shape: int) -> Any:
        return _normal(rng, shape, True)

    Q = orthonormal(rng, 4, 4, False)
    B, C = complex_(3, 3), normal(5, 3)
    low = (normal(5, 2) @ np.diag([1.0, 0.0]), normal(2, 4))
    diagonal, low_rank, kronecker = normgrad.Diagonal, normgrad.LowRank, normgrad.Kronecker
    matmul = lambda a, b: a @ b  # noqa: E731
    square = lambda d: diagonal(d)  # noqa: E731

    def convolution(name: str, grid: tuple[int, ...], padding: str, kernel: Any) -> Case:
        make = lambda K: (  # noqa: E731
            normgrad.Convolution1d(K, grid[0], padding)
            if len(grid) == 1
            else normgrad.Convolution2d(K, grid, padding)
        )
        name = f"{padding} convolution, {name}"
        return Case(name, make, _convolution(grid, padding), (kernel,))

    sparse = _sparse([0, 3, 1, 0, 2, 4], [1, 0, 2, 0, 3, 2], 5, 4)
    tied = _sparse([0, 1, 2, 2], [0, 1, 2, 0], 4, 3)
    return [
        Case("sparse", *sparse, (normal(6),)),
        Case("sparse, complex", *sparse, (complex_(6),)),
        Case("sparse, a stored zero", *sparse, (np.array([1.0, 0.0, -2.0, 3.0, 0.5, 1.0]),)),
        Case("sparse, tied", *tied, (np.array([2.0, -2.0, 1.0, 1.0]),)),
        Case("sparse, fewer values than rows", *_sparse([2, 0], [0, 1], 3, 3), (normal(2),)),
        Case(
            "sparse and low rank",
            lambda x, a, b: low_rank(a, b) + sparse[0](x),
            lambda x, a, b: a @ b + sparse[1](x),
            (normal(6), normal(5, 2), normal(2, 4)),
            direct=False,
        ),
        Case(
            "multiple of a sparse transpose",
            lambda x: -2.0 * sparse[0](x).T,
            lambda x: -2.0 * sparse[1](x).T,
            (normal(6),),
            direct=False,
        ),
        Case("diagonal", square, _diagonal(4, 4), (np.array([1.0, -3.0, 2.0, 0.5]),)),
        Case("diagonal, tied", square, _diagonal(3, 3), (np.array([2.0, -2.0, 1.0]),)),
        Case("diagonal, zero entry", square, _diagonal(3, 3), (np.array([2.0, 0.0, 1.0]),)),
        Case("diagonal, complex", square, _diagonal(3, 3), (complex_(3),)),
        Case("diagonal, wide", lambda d: diagonal(d, (2, 3)), _diagonal(2, 3), (normal(2),)),
        Case("blocks", normgrad.BlockDiagonal, lambda b: _blocks(*b), (normal(3, 2, 3),)),
        Case(
            "blocks, complex", normgrad.BlockDiagonal, lambda b: _blocks(*b), (complex_(2, 2, 2),)
        ),
        Case(
            "blocks of several shapes",
            lambda *blocks: normgrad.BlockDiagonal(list(blocks)),
            _blocks,
            (normal(2, 2), normal(1, 3), normal(3, 2)),
        ),
        Case("low rank", low_rank, matmul, (normal(5, 2), normal(2, 4))),
        Case("low rank, complex", low_rank, matmul, (complex_(4, 2), complex_(2, 3))),
        Case("low rank, full rank", low_rank, matmul, (normal(3, 3), normal(3, 4))),
        Case("low rank, more columns than rows", low_rank, matmul, (normal(2, 3), normal(3, 4))),
        Case("low rank, deficient", low_rank, matmul, low),
        Case("low rank, tied", low_rank, matmul, (Q[:, :2], Q[:2])),
        Case("kronecker", kronecker, np.kron, (normal(2, 3), normal(3, 2))),
        Case("kronecker, complex", kronecker, np.kron, (complex_(2, 2), complex_(2, 3))),
        Case("kronecker, tied", kronecker, np.kron, (Q[:2, :2] * 0 + np.eye(2), normal(2, 2))),
        Case(
            "sum",
            lambda d, a, b: diagonal(d, (5, 4)) + low_rank(a, b),
            lambda d, a, b: _diagonal(5, 4)(d) + a @ b,
            (normal(4), normal(5, 2), normal(2, 4)),
        ),
        Case(
            "sum with an array",
            lambda d, x: diagonal(d, (4, 3)) + x,
            lambda d, x: _diagonal(4, 3)(d) + x,
            (normal(3), normal(4, 3)),
        ),
        Case(
            "multiple of a transpose",
            lambda a, b: -2.0 * low_rank(a, b).T,
            lambda a, b: -2.0 * (a @ b).T,
            (normal(5, 2), normal(2, 4)),
            direct=False,
        ),
        Case(
            "hermitian",
            normgrad.Hermitian,
            lambda x: (x + x.conj().T) / 2,
            (B + B.conj().T,),
        ),
        Case(
            "symmetric, tied",
            normgrad.Hermitian,
            lambda x: (x + x.T) / 2,
            (Q @ np.diag([2.0, -2.0, 1.0, 0.0]) @ Q.T,),
        ),
        Case("psd", normgrad.PSD, lambda x: (x + x.T) / 2, (C.T @ C,)),
        convolution("of images", (4, 3), "circular", normal(1, 2, 3, 2)),
        convolution("complex", (2, 3), "circular", complex_(2, 1, 2, 2)),
        convolution("larger than the image", (2, 2), "circular", normal(2, 1, 3, 4)),
        convolution("of sequences", (5,), "circular", normal(2, 2, 3)),
        convolution("of images", (2, 3), "zeros", normal(2, 1, 3, 2)),
        convolution("of sequences", (4,), "zeros", complex_(1, 2, 4)),
        convolution("larger than the sequence", (2,), "zeros", normal(2, 2, 7)),
    ]


CASES = _cases()
