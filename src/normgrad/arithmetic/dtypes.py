"""Dtypes by name, the same for every library."""

from typing import Any

__all__ = ["COMPUTED_IN", "EPSILON", "NATIVE", "dtype_name", "half_of_value", "is_number"]

NATIVE = ("float32", "float64", "complex64", "complex128")
"""Dtypes that are computed in."""

COMPUTED_IN = {"float16": "float32", "bfloat16": "float32", "complex32": "complex64"}
"""Dtypes that are computed in another and cast back."""

EPSILON = {
    "bfloat16": 2.0**-7,
    "float16": 2.0**-10,
    "complex32": 2.0**-10,
    "float32": 2.0**-23,
    "complex64": 2.0**-23,
    "float64": 2.0**-52,
    "complex128": 2.0**-52,
}
"""The relative spacing of numbers."""


_names: dict[Any, str] = {}  # PyTorch's compiler warns of functools.cache


def dtype_name(dtype: Any) -> str:
    """Return the name of a dtype of any library, or of one of NumPy's types."""
    name = _names.get(dtype)
    if name is None:
        given = getattr(dtype, "name", None) or getattr(dtype, "__name__", None)
        name = _names[dtype] = given or str(dtype).removeprefix("torch.")
    return name


def is_number(x: Any, *kinds: str) -> bool:
    """Whether x is a number of Python, or an array of numbers; "complex" among `kinds` or not."""
    if isinstance(x, (int, float)):  # (first, as torch.compile asks no attributes of numbers)
        return True
    if hasattr(x, "ndim") and hasattr(x, "dtype"):
        return dtype_name(x.dtype).startswith(("bool", "int", "uint", "float", "bfloat", *kinds))
    return "complex" in kinds and isinstance(x, complex)


def half_of_value(name: str) -> str:
    """Return the dtype of the norm of a matrix in half precision."""
    return "float16" if name == "complex32" else name
