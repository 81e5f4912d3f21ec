"""Arguments checked and brought into the form that the rules compute with."""

from collections.abc import Callable
from typing import Any

from normgrad._axes import two_axes
from normgrad._structured import StructuredArgument
from normgrad.arithmetic import COMPUTED_IN, NATIVE, Array, dtype_name, half_of_value, is_compiling
from normgrad.calculus import (
    NormByEntries,
    NormBySingularValues,
    NormRule,
    Oracle,
    ProjectionByEntries,
    ProjectionBySingularValues,
    ProxByEntries,
    ProxBySingularValues,
    ProxRule,
    oracle_of_structure,
    projection_of_structure,
    prox_of_structure,
)
from normgrad.engines import Engine, engine_of
from normgrad.factorizations import check_method
from normgrad.matrices import Matrix, as_matrix
from normgrad.norms import EntrywiseNorm, Norm, UnitarilyInvariantNorm, resolve

__all__ = [
    "Argument",
    "argument_of",
    "dual_rule",
    "norm_rule",
    "oracle_rule",
    "prepared",
    "projection_rule",
    "prox_rule",
    "with_direction",
]


def argument_of(x: Any, axis: Any, engine: Engine | None = None) -> "Argument | StructuredArgument":
    """Return an argument ready for the rules, whatever kind of matrix it is."""
    A = as_matrix(x)
    return Argument(x, axis, engine) if A is None else StructuredArgument(A, axis, engine)


class Argument:
    """A matrix argument: whose it is, and as the rules want it, (..., m, n) and floating."""

    engine: Engine
    x: Array
    dtype: str

    def __init__(self, x: Any, axis: Any, engine: Engine | None = None) -> None:
        self.engine = engine_of(x) if engine is None else engine
        x = self.engine.dense(x)
        self.given_shape = tuple(x.shape)
        self.axis = two_axes(axis, x.ndim, self.given_shape)
        name = dtype_name(x.dtype)
        if name in NATIVE:
            self.dtype = name
        elif name in COMPUTED_IN:
            self.dtype = name
            x = self.engine.astype(x, COMPUTED_IN[name])
        elif name == "bool" or name.startswith(("int", "uint")):
            x = self.engine.astype(x, self.engine.default_float())
            self.dtype = dtype_name(x.dtype)
        else:
            raise TypeError(
                f"a matrix norm needs real or complex numbers; got dtype {str(x.dtype)!r}, shape "
                f"{tuple(x.shape)}. Supported: integers, float16, bfloat16, float32, float64, "
                "complex64, complex128; convert it to one of these"
            )
        if self.axis != (x.ndim - 2, x.ndim - 1):
            x = self.engine.moveaxis(x, self.axis, (-2, -1))
        self.x = x
        self.ndim = x.ndim
        self.shape = tuple(x.shape)

    def norm_rule(self, norm: Norm, method: str) -> NormRule:
        """Return the rule for a norm of the argument."""
        check_method(method)
        if isinstance(norm, EntrywiseNorm) and method == "auto":
            return NormByEntries(norm)
        return NormBySingularValues(_by_singular_values(norm, method), method)

    def like_value(self, value: Array, keepdims: bool = False) -> Array:
        """Cast a number per matrix to the precision of the argument, keeping its axes if wanted."""
        if keepdims:
            shape = list(value.shape)
            for i in sorted(self.axis):
                shape.insert(i, 1)
            value = self.engine.reshape(value, tuple(shape))
        if self.dtype in COMPUTED_IN:
            value = self.engine.astype(value, half_of_value(self.dtype))
        return value

    def like_matrix(self, G: Array) -> Array:
        """Cast a matrix to the dtype of the argument, and give it the argument's axes."""
        if self.axis != (self.ndim - 2, self.ndim - 1):
            G = self.engine.moveaxis(G, (-2, -1), self.axis)
        return self.engine.astype(G, self.dtype) if self.dtype in COMPUTED_IN else G


_PREPARED: dict[Any, tuple[Engine, Any] | None] = {}


def prepared(
    rule_of: Callable[[Any, Any, str], Any], x: Any, ord: Any, axis: Any, method: str
) -> tuple[Engine, Any] | None:
    """Return the engine and the rule for an array that can be given to them as it is, or None.

    `rule_of` is one of the functions below. What was found out for one array holds for all of
    the same type, dtype and shape.
    """
    if is_compiling():  # a compiler would watch the memory
        return None
    try:
        # (equal numbers of several types are equal keys: 1, 1.0 and True)
        key = (
            rule_of, type(x), x.dtype, x.shape, getattr(x, "layout", None),
            ord, type(ord), axis, type(axis[0]), type(axis[1]), method,
        )  # fmt: skip
        return _PREPARED[key]
    except KeyError:
        pass
    except (AttributeError, TypeError, IndexError):  # not an array, not hashable, no pair
        return None
    argument = argument_of(x, axis)
    plain = isinstance(argument, Argument) and argument.x is x and argument.dtype in NATIVE
    if len(_PREPARED) > 1000:
        _PREPARED.clear()
    found = (argument.engine, rule_of(argument, ord, method)) if plain else None
    if found is None or found[1].any_library:  # (a function of a user is not kept alive)
        _PREPARED[key] = found
    return found


def norm_rule(argument: Argument | StructuredArgument, ord: Any, method: str) -> NormRule:
    """Return the rule for a norm of the argument."""
    return argument.norm_rule(_checked(argument, ord), method)


def dual_rule(argument: Argument | StructuredArgument, ord: Any, method: str) -> NormRule:
    """Return the rule for the dual of a norm."""
    return argument.norm_rule(_checked(argument, ord).dual(), method)


def prox_rule(argument: Argument | StructuredArgument, ord: Any, method: str) -> ProxRule:
    """Return the rule for the proximal map of a norm."""
    norm = _checked(argument, ord)
    if isinstance(argument, StructuredArgument):
        argument.check_auto(method)
        return prox_of_structure(argument.matrix, argument.embedding, norm)
    return _map_rule(ProxByEntries, ProxBySingularValues, norm, method)


def projection_rule(argument: Argument | StructuredArgument, ord: Any, method: str) -> ProxRule:
    """Return the rule for the projection on the balls of a norm."""
    norm = _checked(argument, ord)
    if isinstance(argument, StructuredArgument):
        argument.check_auto(method)
        return projection_of_structure(argument.matrix, argument.embedding, norm)
    return _map_rule(ProjectionByEntries, ProjectionBySingularValues, norm, method)


def _map_rule(by_entries: Any, by_values: Any, norm: Norm, method: str) -> ProxRule:
    check_method(method)
    entries = isinstance(norm, EntrywiseNorm) and method == "auto"
    rule: ProxRule = (
        by_entries(norm) if entries else by_values(_by_singular_values(norm, method), method)
    )
    return rule


def oracle_rule(argument: Argument | StructuredArgument, ord: Any, method: str) -> ProxRule:
    """Return the rule for the minimisers of linear functions over the balls of a norm."""
    if isinstance(argument, StructuredArgument):
        norm = _checked(argument, ord)
        return oracle_of_structure(argument.matrix, argument.embedding, norm, method)
    return Oracle(dual_rule(argument, ord, method))


def _checked(argument: Argument | StructuredArgument, ord: Any) -> Norm:
    norm = resolve(ord)
    m, n = argument.shape[-2:]
    norm.check_shape(m, n)
    return norm


def _by_singular_values(norm: Norm, method: str) -> UnitarilyInvariantNorm:
    if isinstance(norm, UnitarilyInvariantNorm):
        return norm
    raise ValueError(
        f"method={method!r} names a factorization, but the {norm} is a norm of entries, which "
        "needs none; leave method='auto'"
    )


def with_direction(
    x: Any, direction: Any, axis: Any, what: str = "direction"
) -> "tuple[Argument | StructuredArgument, Array]":
    """Return a matrix argument and a direction, of the same shape, library and dtype.

    Errors call the latter by the name `what`, which it has for the user.
    """
    if isinstance(direction, (str, Norm, int, float)):
        raise TypeError(
            f"{what} must be an array of the shape of x; got {type(direction).__name__} "
            f"{direction!r}. The order is hvp(x, direction, ord), subgradient_distance(x, g, ord)"
        )
    A = as_matrix(x)
    if A is not None:
        return _structured_direction(A, direction, axis)
    engine = engine_of(x, direction)
    argument, E = Argument(x, axis, engine), engine.dense(direction)
    if tuple(E.shape) != argument.given_shape:
        raise ValueError(
            f"{what} must have the shape of x, {argument.given_shape}; got {tuple(E.shape)}"
        )
    given = Argument(E, axis, engine)
    complex_x, complex_E = ("complex" in a.dtype for a in (argument, given))
    if complex_E and not complex_x:
        raise TypeError(
            f"{what} is {given.dtype} but x is {argument.dtype}: a real matrix can only move "
            f"in real directions; pass {what}.real, or a complex x"
        )
    return argument, engine.astype(given.x, argument.x.dtype)


def _structured_direction(A: Matrix, direction: Any, axis: Any) -> tuple[StructuredArgument, Array]:
    """Return a structured argument and a direction of its parameters."""
    E = as_matrix(direction)
    if E is None or type(E) is not type(A) or not _alike(E, A):
        got = f"{type(direction).__name__} of shape {getattr(direction, 'shape', '?')}"
        if E is not None and type(E) is type(A) and E.shape == A.shape:
            got += ", with parameters of other shapes, or another pattern or setting, than x"
        raise TypeError(
            f"direction must be a {type(A).__name__} like x, with the directions of its parameters "
            f"as its fields; got {got}, for x of shape {A.shape}"
        )
    engine = engine_of(*A.parameters, *E.parameters)
    argument, given = StructuredArgument(A, axis, engine), StructuredArgument(E, axis, engine)
    if any(
        "complex" in e and "complex" not in a
        for a, e in zip(argument.dtypes, given.dtypes, strict=True)
    ):
        raise TypeError(
            f"direction has dtypes {given.dtypes} but x has {argument.dtypes}: real parameters can "
            "only move in real directions"
        )
    return argument, engine.astype(given.x, argument.dtype)


def _alike(E: Matrix, A: Matrix) -> bool:
    """Whether two matrices of a type differ in the values of their parameters at most."""
    shapes = [[tuple(p.shape) for p in M.parameters] for M in (E, A)]
    return E.static == A.static and shapes[0] == shapes[1]
