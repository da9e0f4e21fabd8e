"""The public face is what it says it is."""

from __future__ import annotations

import inspect
from types import ModuleType

import pytest

import lineage

CLASSES = [getattr(lineage, name) for name in lineage.__all__ if inspect.isclass(getattr(lineage, name))]


def test_all_is_sorted_and_is_what_the_module_offers() -> None:
    """`__all__` names every public thing of the package, in order, and nothing else."""
    offered = [
        name for name, value in vars(lineage).items() if not name.startswith("_") and not isinstance(value, ModuleType)
    ]

    assert sorted(lineage.__all__) == sorted(offered)
    assert lineage.__all__ == sorted(lineage.__all__, key=lambda name: (name[0].islower(), name))


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_public_members_are_documented_and_annotated(cls: type) -> None:
    """Every public class and every public member of it has a docstring, every function its types."""
    assert inspect.getdoc(cls)
    for name, member in vars(cls).items():
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if name.startswith("_") or not inspect.isfunction(function):
            continue
        assert inspect.getdoc(function), f"{cls.__name__}.{name} has no docstring"
        assert "return" in function.__annotations__, f"{cls.__name__}.{name} has no return type"


def test_errors_form_one_tree_drawn_in_the_docstring() -> None:
    """Each error class derives from LineageError and stands in the drawing."""
    import lineage.errors

    classes = [value for value in vars(lineage.errors).values() if inspect.isclass(value)]
    errors = [value for value in classes if issubclass(value, Exception)]

    assert all(issubclass(value, lineage.LineageError) for value in errors)
    assert all(value.__name__ in str(lineage.errors.__doc__) for value in errors)


def test_version_is_the_distributions() -> None:
    """`lineage.__version__` is the version that was installed."""
    from importlib.metadata import version

    assert lineage.__version__ == version("lineage-db")
