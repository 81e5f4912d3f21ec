"""Norms in the training of JAX functions: pure, for parameters in any pytree.

The models of equinox are pytrees, and so are the parameters of flax; neither is imported.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.sparse import JAXSparse

import normgrad
from normgrad.matrices import as_matrix
from normgrad.nn.scaling import Mode, check_scaling, scaled

__all__ = ["lipschitz_bound", "penalty", "spectral_normalise"]


def spectral_normalise(
    w: Any,
    state: Any = None,
    *,
    bound: float = 1.0,
    mode: Mode = "normalise",
    tol: float | None = None,
) -> tuple[jax.Array, jax.Array]:
    r"""Return a matrix scaled to the spectral norm `bound`, or capped there, and a state.

    Parameters
    ----------
    w : (m, n) array
        Floating; float16 and bfloat16 are computed in float32.
    state : array, optional
        What the last call for this weight returned; None for the first.
    bound : float
        Positive.
    mode : {"normalise", "cap"}
        ``w bound / ||w||``, or ``w min(1, bound / ||w||)``.
    tol : float, optional
        The residual that `normgrad.track` may leave; the default is rounding level.

    Returns
    -------
    w_bar : (m, n) array
        Differentiable to second order, through the norm. Zero stays zero, with the derivative
        of ``bound w``; at the kink of "cap" the derivative is the identity.
    state : (min(m, n), min(m, n, 8)) array
        A constant to differentiation.

    Notes
    -----
    Pure, under `jax.jit`, `jax.grad` and `jax.vmap`; keep the state with that of the optimiser.
    Where the largest singular value is multiple, the derivative of the norm is one of many
    subgradients, as from `normgrad.track`. Under vmap both branches run: the cost is that of
    a factorization for each step.

    Examples
    --------
    >>> import jax.numpy as jnp, normgrad.nn.jax
    >>> w_bar, state = normgrad.nn.jax.spectral_normalise(jnp.diag(jnp.array([3.0, 4.0])), bound=2)
    >>> bool(jnp.allclose(w_bar, jnp.diag(jnp.array([1.5, 2.0]))))
    True
    """
    check_scaling(bound, mode)
    _refuse_mapping(w, "spectral_normalise takes one matrix and its state")
    w = jnp.asarray(w)
    if not jnp.issubdtype(w.dtype, jnp.inexact):
        raise TypeError(
            f"expected a floating matrix; got dtype {w.dtype}, to which quotients by the norm "
            "would be rounded. Convert it: jnp.asarray(w, dtype=float)"
        )
    W = _computed(w)
    if state is not None:
        state = jax.lax.stop_gradient(state)
    value, G, state = normgrad.track(jax.lax.stop_gradient(W), state, tol=tol)
    return scaled(W, _norm(W, value, G), float(bound), mode).astype(w.dtype), state


@jax.custom_jvp
def _norm(W: jax.Array, value: jax.Array, G: jax.Array) -> jax.Array:
    """Return the norm, which is known with its gradient G."""
    return value


@_norm.defjvp
def _norm_jvp(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    W, _, G = primals  # d ||W|| = Re<G, E>; both results are differentiated again
    return _norm(*primals), jnp.sum((jnp.conj(_gradient(W, G)) * tangents[0]).real)


@jax.custom_jvp
def _gradient(W: jax.Array, G: jax.Array) -> jax.Array:
    """Return the gradient of the norm, which is known."""
    return G


@_gradient.defjvp
def _gradient_jvp(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    # dG = D(E)
    return _gradient(*primals), normgrad.hvp(primals[0], tangents[0], 2)


def _computed(x: Any) -> Any:
    """Return an array or matrix in the precision in which its norm is computed."""
    A = as_matrix(x)
    if A is not None:
        return A.replace(tuple(map(_computed, A.parameters)))
    x = jnp.asarray(x)
    return x.astype(jnp.float32) if x.dtype in (jnp.float16, jnp.bfloat16) else x


def _refuse_mapping(x: Any, usage: str) -> None:
    """Raise TypeError for parameters as a whole."""
    if isinstance(x, Mapping):
        raise TypeError(
            f"{usage}; got a {type(x).__name__} with the keys {list(x)}. Pass its arrays"
        )


def penalty(
    params: Any, ord: Any = "nuc", predicate: Callable[[str, jax.Array], bool] | None = None
) -> jax.Array:
    r"""Return the sum of a norm over all arrays of a pytree that are matrices.

    Parameters
    ----------
    params : pytree
        Of arrays, sparse ones too, and matrix types, as `normgrad.LowRank`, each of which is one
        matrix; leaves that are no floating arrays, as the functions in an equinox module, do not
        count.
    ord : as for `normgrad.matrix_norm`
    predicate : callable, optional
        ``predicate(path, array)`` says whether an array with two or more axes counts, by
        `jax.tree_util.keystr` and shape. More than two axes are a batch of matrices, the last two
        their axes. By default all matrices count, and an array with more axes raises.

    Returns
    -------
    () array
        Differentiable as norms are. float16 and bfloat16 are computed, and added, in float32.

    Raises
    ------
    ValueError
        For an array with more than two axes, without a predicate: which matrix it stands for is
        not known.

    Notes
    -----
    Arrays with fewer than two axes, biases and gains, are no matrices and do not count.

    Examples
    --------
    >>> import jax.numpy as jnp, normgrad.nn.jax
    >>> params = {"dense": {"kernel": jnp.eye(3), "bias": jnp.ones(3)}}
    >>> float(normgrad.nn.jax.penalty(params, "nuc"))
    3.0
    """
    total = jnp.zeros(())
    for path, leaf in jax.tree_util.tree_flatten_with_path(params, is_leaf=_is_matrix)[0]:
        if not _is_matrix(leaf) and (
            getattr(leaf, "ndim", 0) < 2 or not jnp.issubdtype(leaf.dtype, jnp.inexact)
        ):
            continue
        name = jax.tree_util.keystr(path)
        if predicate is None and leaf.ndim > 2:
            raise ValueError(
                f"params{name} has shape {leaf.shape}: which matrix it stands for is not known. "
                "Give predicate=lambda path, array: ..., False to leave it out, True to take it "
                "for a batch of matrices in the last two axes"
            )
        if predicate is None or predicate(name, leaf):
            total = total + jnp.sum(normgrad.matrix_norm(_computed(leaf), ord))
    return total


def _is_matrix(x: Any) -> bool:
    """Whether a part of a pytree is one matrix, though it may be a tree itself."""
    return isinstance(x, (normgrad.Matrix, JAXSparse))


def lipschitz_bound(matrices: Iterable[Any], factor: float = 1.0) -> jax.Array:
    r"""Return a Lipschitz constant of a chain of layers: the product of their spectral norms.

    Parameters
    ----------
    matrices : iterable of matrices
        Arrays (m, n), or matrix types as `normgrad.Convolution2d`, the linear parts of the layers.
    factor : float
        The product of the Lipschitz constants of what is between, not negative: 1 for ReLU and
        tanh, 1/4 for each sigmoid.

    Returns
    -------
    () array
        Differentiable as norms are. float16 and bfloat16 are computed in float32.

    Notes
    -----
    The order of the matrices, and whether sizes fit, is not looked at: parameters are kept both
    as (out, in) and as (in, out).

    Examples
    --------
    >>> import jax.numpy as jnp, normgrad, normgrad.nn.jax
    >>> kernel = normgrad.Convolution2d(jnp.ones((1, 1, 2, 2)), grid=(2, 2))
    >>> round(float(normgrad.nn.jax.lipschitz_bound([kernel, 3 * jnp.eye(4)])), 4)
    12.0
    """
    _refuse_mapping(matrices, "lipschitz_bound takes an iterable of the layers' matrices")
    shape = tuple(getattr(matrices, "shape", ()))
    if len(shape) in (1, 2) or isinstance(matrices, normgrad.Matrix):
        raise TypeError(
            "lipschitz_bound takes an iterable of the layers' matrices; got an array of shape "
            f"{shape}. If it is one matrix, pass [matrix]"
        )
    if isinstance(factor, str) or not factor >= 0:
        raise ValueError(f"factor is a Lipschitz constant, not negative; got {factor!r}")
    total = jnp.asarray(float(factor))
    for A in matrices:
        norm = normgrad.spectral_norm(_computed(A))
        if norm.ndim:
            raise ValueError(
                f"each layer is one matrix; got a batch of shape {tuple(norm.shape)}. Give its "
                "matrices one by one if they are a chain, or use jax.vmap"
            )
        total = total * norm
    return total
