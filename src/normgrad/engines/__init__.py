"""Who differentiates: one file for each library, imported only once the user has imported it."""

import sys
from collections.abc import Callable
from typing import Any

from normgrad.engines.base import Engine, OrderError

__all__ = ["TABLE", "Engine", "OrderError", "engine_of"]


def _numpy() -> Engine:
    from normgrad.engines.numpy import ENGINE

    return ENGINE


def _torch() -> Engine:
    from normgrad.engines.torch import ENGINE

    return ENGINE


def _jax() -> Engine:
    from normgrad.engines.jax import ENGINE

    return ENGINE


def _autograd() -> Engine:
    from normgrad.engines.autograd import ENGINE

    return ENGINE


TABLE: dict[str, Callable[[], Engine]] = {
    "numpy": _numpy,
    "torch": _torch,
    "jax": _jax,
    "autograd": _autograd,
}
"""Library, and how its engine is had. (Import statements: torch.compile can trace those.)"""


def engine_of(*arguments: Any) -> Engine:
    """Return the engine of the arguments: a library that differentiates wins over NumPy.

    Raises
    ------
    TypeError
        If an argument belongs to none, or two to different ones.
    """
    engines = {engine.name: engine for engine in map(_engine_of_one, arguments)}
    others = [name for name in engines if name != "numpy"]
    if len(others) > 1:
        raise TypeError(f"got arrays of {' and '.join(others)}; all must be of one library")
    return engines[others[0] if others else "numpy"]


def _engine_of_one(x: Any) -> Engine:
    """Return the engine that owns `x`, touching only libraries that are already imported."""
    if isinstance(x, (list, tuple)):
        _check_list(x)
    for library, load in TABLE.items():
        if library in sys.modules:
            engine = load()
            if engine.owns(x):
                return engine
    kind = f"{type(x).__module__}.{type(x).__qualname__}"
    hint = ""
    if "sparse" in kind:
        dense = "toarray" if "scipy" in kind else "todense"
        hint = f"; it takes no sparse matrices of this kind: x.{dense}() gives an array"
    elif hasattr(x, "to_numpy"):
        hint = "; x.to_numpy() gives an array"
    elif hasattr(x, "named_parameters"):
        hint = "; pass its weight. Norms of layers are in normgrad.nn.torch"
    raise TypeError(
        f"expected an array of {', '.join(TABLE)}, or nested lists of numbers; got {kind}{hint}"
    )


def _check_list(x: Any) -> None:
    """Raise TypeError if nested lists hold arrays of a library that differentiates."""
    while isinstance(x, (list, tuple)) and len(x):
        x = x[0]
    for library, load in TABLE.items():
        if library != "numpy" and library in sys.modules and load().owns(x):
            raise TypeError(
                f"got a list of {library} arrays, which would lose what they are part of; make "
                "one array of them first, with stack"
            )
