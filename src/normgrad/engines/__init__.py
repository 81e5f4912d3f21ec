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


def engine_of(x: Any) -> Engine:
    """Return the engine that owns `x`, touching only libraries that are already imported.

    Raises
    ------
    TypeError
        If there is none.
    """
    for library, load in TABLE.items():
        if library in sys.modules:
            engine = load()
            if engine.owns(x):
                return engine
    kind = f"{type(x).__module__}.{type(x).__qualname__}"
    hint = ""
    if "scipy.sparse" in kind:
        hint = "; sparse matrices are not supported yet: x.toarray() gives a dense one"
    raise TypeError(
        f"expected an array of {', '.join(TABLE)}, or nested lists of numbers; got {kind}{hint}"
    )
