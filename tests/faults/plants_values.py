"""Bugs in what is made of text and values."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from typing import Any

from plants import plant


@plant("lineage.artifact:prose")
def blanks_around_text_are_dropped(check: Callable[..., str]) -> object:
    return lambda text, what: check(text, what).strip()


@plant("lineage.starting:label")
def text_is_normalised(check: Callable[..., str]) -> object:
    return lambda text, *rest, **how: unicodedata.normalize("NFKC", check(text, *rest, **how))


@plant("lineage.artifact:label")
def anything_printable_is_a_type(_: object) -> object:
    return lambda text, *_, **__: str(text)


@plant("lineage.artifact:plain_object")
def numbers_go_through_floats(_: object) -> object:
    def made(value: Any, _: str) -> Any:
        return json.loads(json.dumps(value or {}, default=str), parse_int=lambda text: int(float(text)))

    return made


@plant("lineage.artifact:entry_path")
def paths_are_joined_as_they_are(_: object) -> object:
    return lambda path: path


@plant("lineage.commit:alias_name")
def aliases_are_not_checked(_: object) -> object:
    return lambda alias: alias


@plant("lineage.starting:json_text")
def line_ends_become_one(text: Callable[..., str]) -> object:
    return lambda value: text(value).replace("\\r\\n", "\\n")
