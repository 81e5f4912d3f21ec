"""Nested tuples, lists and dictionaries of arrays, taken apart and put together again."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from normgrad.arithmetic import Array

__all__ = ["Branch", "flatten", "unflatten"]


class Branch(NamedTuple):
    """A container: its type, its keys if it has such, and what is in it; None is a leaf."""

    kind: type
    keys: tuple[Hashable, ...]
    children: tuple["Branch | None", ...]


def flatten(tree: Any) -> tuple[list[Array], Branch | None]:
    """Return the leaves of a tree in order, and its structure, which is hashable."""
    if isinstance(tree, Mapping):
        keys, children = tuple(tree.keys()), list(tree.values())
    elif isinstance(tree, (tuple, list)):
        keys, children = (), list(tree)
    else:
        return [tree], None
    parts = [flatten(child) for child in children]
    leaves = [leaf for part, _ in parts for leaf in part]
    return leaves, Branch(type(tree), keys, tuple(structure for _, structure in parts))


def unflatten(structure: Branch | None, leaves: Iterable[Array]) -> Any:
    """Return the tree of this structure with these leaves."""
    return _grown(structure, iter(leaves))


def _grown(structure: Branch | None, leaves: Iterator[Array]) -> Any:
    if structure is None:
        return next(leaves)
    kind, keys, below = structure
    children = [_grown(child, leaves) for child in below]
    if issubclass(kind, Mapping):
        return kind(zip(keys, children, strict=True))  # type: ignore[call-arg]
    if hasattr(kind, "_fields"):
        return kind(*children)
    return kind(children)  # type: ignore[call-arg]
