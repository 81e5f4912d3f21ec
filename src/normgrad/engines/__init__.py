"""Who differentiates: one file for each library, imported only once the user has imported it."""

import functools
import importlib
import sys
from typing import Any

from normgrad.engines.base import Engine, OrderError

__all__ = ["TABLE", "Engine", "OrderError", "engine_of"]

TABLE: dict[str, str] = {
    "numpy": "NumpyEngine",
    "torch": "TorchEngine",
    "jax": "JaxEngine",
    "autograd": "AutogradEngine",
}
"""Library, and the class in the module of the same name here."""


@functools.cache
def load(library: str) -> Engine:
    """Return the engine for a library that is already imported."""
    module = importlib.import_module(f"normgrad.engines.{library}")
    engine: Engine = getattr(module, TABLE[library])()
    return engine


def engine_of(x: Any) -> Engine:
    """Return the engine that owns `x`, touching only libraries that are already imported.

    Raises
    ------
    TypeError
        If there is none.
    """
    for library in TABLE:
        if library in sys.modules and load(library).owns(x):
            return load(library)
    kind = f"{type(x).__module__}.{type(x).__qualname__}"
    hint = ""
    if "scipy.sparse" in kind:
        hint = "; sparse matrices are not supported yet: x.toarray() gives a dense one"
    raise TypeError(
        f"expected an array of {', '.join(TABLE)}, or nested lists of numbers; got {kind}{hint}"
    )
