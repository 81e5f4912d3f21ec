r"""Jacobi's method for a batch of small matrices: every operation is one on the whole batch.

One-sided rotations (Hestenes, J. SIAM 6, 1958) make the columns of A orthogonal. For two
columns x and y let ``a = |x|^2``, ``b = |y|^2`` and ``g = x^H y``, made real by a phase of y.
The rotation

    x' = c x + s y,    y' = c y - s x,    tan(2 theta) = 2 g / (a - b),

makes them orthogonal. Of the two angles that do, the one is taken that leaves the longer
column first (de Rijk, SIAM J. Sci. Stat. Comput. 10, 1989), so that a sweep over all pairs
also sorts. It adds ``s (2 c g - s (a - b))`` to the squared norm a and takes it from b. With t
the tangent of the smaller angle, they become ``max(a, b) + t g`` and ``min(a, b) - t g``.
Convergence is quadratic in the end, and nothing less accurate than by a bidiagonalization
(Demmel & Veselic, SIAM J. Matrix Anal. Appl. 13, 1992).

Then the columns are those of ``A W = U diag(s)``, and W need not have been kept: the rows of
``U^H A = diag(s) V^H`` are orthogonal up to ``eps s_1``. The Gram-Schmidt process, in the order
of descending s, makes them orthonormal, and changes ``U diag(s) V^H`` as little as rounding A.

A column is an array (rows, count), contiguous along the batch. A complex one is that of its
real parts, then its imaginary parts, where the product with -i is a permutation; the real and
the imaginary part of ``x^H y`` are the real inner products of x with y and with ``-i y``.
"""

import functools
import math
import operator
import sys
from collections.abc import Callable
from typing import Any, final

from normgrad.arithmetic import (
    Array,
    adjoint,
    conj,
    is_complex,
    is_jax,
    is_readable,
    is_torch,
    is_traced,
    machine_epsilon,
    namespace,
    put,
    seen,
    while_loop,
)
from normgrad.factorizations.base import Columns, Demand, Factorization, Outcome, Spectrum, Verdict

__all__ = ["BatchedJacobi", "Fibres"]

_NOISE = 8  # cosines, and singular values relative to s_1, count as zero up to so many eps
_FIRST = {1: 0, 2: 1, 3: 4}  # so many columns have so many sweeps before the first test; else 5,
_FURTHER = 20  # and at most so many more
_BLOCK = 2**22  # so many bytes are worked on at a time, for they should stay in a cache


@final
class BatchedJacobi(Factorization):
    """One-sided Jacobi rotations, of the same two columns of all matrices at once."""

    name = "jacobi"

    def verdict(self, A: Array, demand: Demand) -> Verdict:
        m, n = A.shape[-2:]
        k, count = min(m, n), math.prod(A.shape[:-2])
        widest, largest = _gainful(A, demand)
        if k > widest or m * n > largest:
            return Verdict(False, f"for {m} x {n} matrices one SVD after the other is as quick")
        if not isinstance(count, int):
            return Verdict(False, f"how many matrices there are, {count}, is not known")
        if count < (400 if is_complex(A) else 200) * k:
            return Verdict(False, f"a batch of {count} is too small to work on it as a whole")
        if not is_jax(A) and not is_readable(A):
            return Verdict(False, "whether it converged can not be read from a device")
        return Verdict(True, f"all {count} small matrices are rotated at once")

    def factorize(self, A: Array, demand: Demand) -> Outcome:
        wide = A.shape[-2] < A.shape[-1]
        decompose = _compiled() if is_jax(A) and not is_traced(A) else _decomposed
        u, s, v, late = decompose(adjoint(A) if wide else A, demand.vectors)
        if demand.vectors:
            u, v = Columns(u), Columns(v)
        spectrum: Spectrum = Fibres(u, s, v, demand.complete)
        holds = ~late
        noise = _NOISE * machine_epsilon(A)
        if demand.complete or demand.rank < noise:  # the vectors of a zero are no unit vectors
            holds = holds & (s[..., -1] > max(noise, demand.rank) * s[..., 0])
        failed = seen(namespace(A).all(holds)) is False
        reason = "some columns are not orthogonal" if failed else "the columns came out orthogonal"
        return Outcome(spectrum.adjoint() if wide else spectrum, holds, reason)


def _gainful(A: Array, demand: Demand) -> tuple[int, int]:
    """Return the largest min(m, n) and m n for which there is something to gain, as measured."""
    if is_complex(A) or is_jax(A):  # XLA takes the SVDs of a batch on all cores
        return 3, 12
    return (6, 48) if demand.vectors else (4, 24)


class Fibres(Spectrum):
    """Triplets of a batch of small matrices, in arrays whose batch lies contiguous."""

    def lift(self, g: Array) -> Array:
        """Return ``U diag(g) V^H`` as the sum of ``g_i u_i v_i^H``, each for the whole batch."""
        xp = namespace(g)
        U, V = (xp.moveaxis(frame.q, (-1, -2), (0, 1)) for frame in (self.u, self.v))
        X, V = xp.moveaxis(g, -1, 0)[:, None] * U, conj(V)
        G = X[0][:, None] * V[0]
        for i in range(1, g.shape[-1]):
            G = _add_product(G, X[i][:, None], V[i])
        return xp.moveaxis(G, (0, 1), (-2, -1))


@functools.cache
def _compiled() -> Callable[..., Any]:
    return sys.modules["jax"].jit(_decomposed, static_argnums=1)


def _decomposed(A: Array, vectors: bool) -> tuple[Any, Array, Any, Array]:
    """Return u, s, v, and which matrices failed the test; None for u and v if not wanted."""
    xp = namespace(A)
    batch, (m, n), count = tuple(A.shape[:-2]), A.shape[-2:], math.prod(A.shape[:-2])
    A = xp.permute_dims(xp.reshape(A, (count, m, n)), (1, 2, 0))
    rotations = _Rotations(A)
    each = (n + 4) * m * A.dtype.itemsize  # the columns, and as much as a rotation needs
    blocks = 1 if is_jax(A) else max(1, math.ceil(count * each / _BLOCK))
    size = math.ceil(count / blocks)
    parts = [rotations.block(A[..., i * size : (i + 1) * size], vectors) for i in range(blocks)]
    joined = parts[0] if blocks == 1 else [xp.concat(p, axis=-1) for p in zip(*parts, strict=True)]
    s, late, *frames = (xp.reshape(q, (*q.shape[:-1], *batch)) for q in joined)
    u, v = (xp.moveaxis(q, (0, 1), (-1, -2)) for q in frames) if vectors else (None, None)
    return u, xp.moveaxis(s, 0, -1), v, late


def _add_product(total: Array, x: Array, y: Array, sign: int = 1) -> Array:
    """Return ``total + sign x y``, in the memory of `total` where the library can."""
    if is_torch(total):
        return total.addcmul_(x, y, value=sign)
    if sign > 0:
        total += x * y
    else:
        total -= x * y
    return total


class _Rotations:
    """Arithmetic with columns, overwritten; u and v are no unit vectors where s is noise."""

    def __init__(self, A: Array):
        self.torch, self.jax, self.complex = is_torch(A), is_jax(A), is_complex(A)
        # by way of array-api-compat the calls of PyTorch's functions take twice the time
        self.xp = sys.modules["torch"] if self.torch else namespace(A)
        info = self.xp.finfo(A.dtype)
        self.noise, self.tiny = _NOISE * float(info.eps), float(info.smallest_normal)
        # single precision comes a sweep earlier
        self.first = _FIRST.get(A.shape[1], 5) - (info.bits == 32 and A.shape[1] > 2)

    def block(self, A: Array, vectors: bool) -> tuple[Array, ...]:
        """Return s and late, and u and v if wanted, of an array (m, n, count)."""
        xp, (m, n) = self.xp, A.shape[:2]
        A = xp.concat([A.real, A.imag]) if self.complex else A
        A = A.reshape(-1).reshape(A.shape)  # makes it contiguous
        size = xp.sqrt((A * A).sum((0, 1)))
        X = A / size.clip(min=self.tiny)  # 0/0 is 0: the root of what is not zero is not so small
        *found, late = self.orthogonal([X[:, j] for j in range(n)])
        s = xp.stack(found[n:]) * size
        if not vectors:
            return s, late
        v = xp.stack(self.orthonormal([self.coefficients(A, x) for x in found[:n]]))
        u = xp.stack(found[:n])
        if self.complex:
            u, v = u[:, :m] + 1j * u[:, m:], v[:, :n] + 1j * v[:, n:]
        return s, late, u, v

    def orthogonal(self, X: list[Array]) -> Any:
        """Return what is measured of the columns X after as many sweeps as it takes."""
        if not self.jax:
            return self.shrinking(X, self.first, _FURTHER)

        def step(state: Any) -> Any:
            X = self.swept(state[1], 1)
            return state[0] + 1, X, *self.measured(X)

        Y = self.swept(self.xp.stack(X), self.first)
        state = 0, Y, *self.measured(Y)
        return while_loop(lambda t: (t[0] < _FURTHER) & t[-1].any(), step, state)[2:]

    def shrinking(self, X: list[Array], sweeps: int, further: int) -> Any:
        """Do the same, with further sweeps for those matrices only that need them."""
        X = self.swept(X, sweeps)
        found = self.measured(X)
        late = found[-1]
        if not further or not seen(late.any()):
            return found
        (i,) = namespace(late).nonzero(late)
        part = self.shrinking([x[:, i] for x in X], 1, further - 1)
        return [put(x, (..., i), y) for x, y in zip(found, part, strict=True)]

    def swept(self, X: Any, sweeps: int) -> Any:
        """Return the columns, a list (for JAX an array), after sweeps over all pairs."""
        pairs = [(i, j) for i in range(len(X)) for j in range(i + 1, len(X))] * sweeps
        N = [self.dot(x, x) for x in X]
        if not (self.jax and pairs):
            for i, j in pairs:
                X[i], X[j], N[i], N[j] = self.rotated(X[i], X[j], N[i], N[j])
            return X
        table = self.xp.asarray(pairs)

        def step(state: Any) -> Any:  # a loop's, for XLA computes anew what it fuses
            k, X, N = state
            i, j = table[k]
            x, y, a, b = self.rotated(X[i], X[j], N[i], N[j])
            return k + 1, put(put(X, i, x), j, y), put(put(N, i, a), j, b)

        return while_loop(lambda t: t[0] < len(pairs), step, (0, X, self.xp.stack(N)))[1]

    def rotated(self, x: Array, y: Array, a: Array, b: Array) -> tuple[Array, ...]:
        """Return x', y' and their squared norms, from x, y and theirs."""
        g = self.dot(x, y)
        if self.complex:
            y, g = self.turned(x, y, g)
        c, s, a, b = self.rotation(a, b, g)
        first = _add_product(c * x, s, y)
        y *= c
        return first, _add_product(y, s, x, -1), a, b

    def rotation(self, a: Array, b: Array, g: Array) -> tuple[Array, ...]:
        """Return c, s, and the new a and b."""
        xp, q, t = self.xp, a - b, g + g
        if self.torch:  # the others are slow at trigonometry
            theta = xp.atan2(t, q)
            theta /= 2
            c, s = xp.cos(theta), xp.sin(theta)
            gain = _add_product(c * t, s, q, -1)
            gain *= s  # s (c t - s q)
            return c, s, a + gain, b - gain
        w = xp.maximum(abs(q) + xp.sqrt(q * q + t * t), abs(t))  # if squares underflow
        t = t / w.clip(min=self.tiny)  # the tangent of the smaller angle; 0 for 0/0
        large = 1 / xp.sqrt(1 + t * t)
        small = abs(t) * large
        large = xp.copysign(large, q)
        c, s = xp.maximum(large, small), xp.copysign(xp.maximum(-large, small), t)
        gain = t * g
        return c, s, xp.maximum(a, b) + gain, xp.minimum(a, b) - gain

    def turned(self, x: Array, y: Array, g: Array) -> tuple[Array, Array]:
        """Return y times ``conj(x^H y) / |x^H y|``, and ``|x^H y|``; g is the real part."""
        xp = self.xp
        y, z = self.parts(y)
        h = self.dot(x, z)
        square = _add_product(g * g, h, h)
        none = square < self.tiny
        root = xp.sqrt(square.clip(min=self.tiny))
        y = y * xp.where(none, 1.0, g / root)
        return _add_product(y, xp.where(none, 0.0, h / root), z), xp.sqrt(square)

    def measured(self, X: Any) -> tuple[Array, ...]:
        """Return u, s, and late: where columns are not orthogonal or not in order."""
        xp = self.xp
        s = [xp.sqrt(self.dot(x, x)) for x in X]
        top = s[0].clip(min=self.tiny / self.noise)
        u = [x / xp.maximum(a, self.noise * top) for x, a in zip(X, s, strict=True)]
        worst = xp.zeros_like(top)
        for j in range(1, len(u)):
            worst = xp.maximum(worst, (s[j] - s[j - 1]) / top)
            s[j] = xp.minimum(s[j], s[j - 1])
            for y in self.parts(u[j]):
                for x in u[:j]:
                    worst = xp.maximum(worst, abs(self.dot(x, y)))
        return *u, *s, worst > self.noise

    def coefficients(self, A: Array, u: Array) -> Array:
        """Return ``A^H u``."""
        W = []
        for y in self.parts(u):
            W.append(A[0] * y[0])
            for i in range(1, A.shape[0]):
                W[-1] = _add_product(W[-1], A[i], y[i])
        return self.xp.concat(W) if self.complex else W[0]

    def orthonormal(self, V: list[Array]) -> list[Array]:
        """Return the columns after the modified Gram-Schmidt process."""
        top = self.xp.sqrt(self.dot(V[0], V[0])).clip(min=self.tiny / self.noise)
        for i in range(len(V)):
            V[i] /= self.xp.maximum(self.xp.sqrt(self.dot(V[i], V[i])), self.noise * top)
            for y in self.parts(V[i]):  # a complex multiple of v is a real one of v and -i v
                for j in range(i + 1, len(V)):
                    V[j] = _add_product(V[j], self.dot(y, V[j]), y, -1)
        return V

    def parts(self, y: Array) -> tuple[Array, ...]:
        """Return y and ``-i y``, or y alone if it is real."""
        m = y.shape[0] // 2
        return (y, self.xp.concat([y[m:], -y[:m]])) if self.complex else (y,)

    def dot(self, x: Array, y: Array) -> Array:
        """Return the real inner products."""
        if self.jax:  # XLA is slow to sum along any axis but the last
            return functools.reduce(operator.add, (x[i] * y[i] for i in range(x.shape[0])))
        return (x * y).sum(0)
