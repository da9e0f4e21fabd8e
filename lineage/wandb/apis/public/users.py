"""The one user there is: whoever uses this machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class User:
    """A user of this machine.

    Attributes:
        username: What the system calls them.
        entity: The label that paths begin with.
        email: None: nobody is registered anywhere.
        admin: False: there is nothing to administer.
        teams: None of them.

    Example:
        >>> User("ada", "team").name
        'ada'
    """

    username: str
    entity: str
    email: str | None = None
    admin: bool = False
    teams: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The user's name."""
        return self.username
