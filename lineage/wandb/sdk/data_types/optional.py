"""Packages that only some values need: imported when such a value comes or must be made, never with lineage."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from lineage.wandb.errors import Error


def needed(module: str, purpose: str, extra: str) -> Any:
    """Return a module that the call cannot do without.

    Args:
        module: Its name, as ``"PIL.Image"``.
        purpose: What needs it; the message begins with it.
        extra: The extra of ours that brings it.

    Raises:
        Error: It is not installed; the message names the extra.

    Example:
        >>> needed("json", "Reading", "media").loads("[1]")
        [1]
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        message = f"{purpose} needs {module.partition('.')[0]}, which is not here"
        raise Error(f"{message}: pip install '.[{extra}]' in the folder of lineage") from error


def found(module: str) -> Any:
    """Return a module if it can be imported, else None."""
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def is_instance(value: object, module: str, name: str) -> bool:
    """Tell whether a value is of a package's class; False while nobody has loaded that package, without loading it.

    Example:
        >>> import decimal
        >>> is_instance(decimal.Decimal(1), "decimal", "Decimal"), is_instance(1, "no.such.module", "Thing")
        (True, False)
    """
    cls = getattr(sys.modules.get(module), name, None)
    return isinstance(cls, type) and isinstance(value, cls)


def comes_from(value: object, package: str) -> bool:
    """Tell whether a value is of a class, or is a module, of a package.

    Example:
        >>> import decimal
        >>> comes_from(decimal.Decimal(1), "decimal"), comes_from(decimal, "decimal"), comes_from(1, "decimal")
        (True, True, False)
    """
    home = value.__name__ if isinstance(value, type(sys)) else type(value).__module__
    return home.partition(".")[0] == package


def as_array(value: Any) -> Any:
    """Return a numpy array or scalar, or a tensor of torch, TensorFlow or JAX, as a numpy array; else None.

    Example:
        >>> as_array([1, 2]) is None
        True
    """
    if is_instance(value, "numpy", "ndarray") or is_instance(value, "numpy", "generic"):
        return sys.modules["numpy"].asarray(value)
    if comes_from(value, "torch") and hasattr(value, "detach"):
        return value.detach().cpu().numpy()
    if comes_from(value, "tensorflow") and hasattr(value, "numpy"):
        return needed("numpy", "A tensor", "media").asarray(value.numpy())
    if (comes_from(value, "jax") or comes_from(value, "jaxlib")) and hasattr(value, "__array__"):
        return needed("numpy", "A JAX array", "media").asarray(value)
    return None
