"""Names for runs, easy to say: ``swept-water-5``."""

from __future__ import annotations

import os
from typing import Final

_HOW: Final = """
amber ancient autumn billowing bold brave bright calm clear cool copper cosmic crimson crisp curious dainty dark
dashing dawn deep divine dry dusty eager early earthy easy electric elegant ethereal fallen fast fearless feasible
fine firm fluent fragrant fresh frosty gentle giddy glad glowing golden good grateful green happy hardy helpful
hidden honest icy jolly kind late leafy light likely lilac lively lucky lunar magic major mild misty modest morning
neat noble olive pale patient pious playful pleasant polar proud quiet radiant rare restful robust rosy royal rural
sage scarlet silver skilled smart smooth snowy soft solar spring stellar still stoic summer sunny sweet swept swift
tough true upbeat usual valiant vibrant vital vivid warm wild wise worthy zesty
""".split()
_WHAT: Final = """
aardvark bird blaze breeze brook bush butterfly cherry cloud comet cosmos darkness dawn deluge dew disco dragon
dream dust eagle elevator energy etchings feather fire firefly flower fog forest frog frost galaxy gate glade
glitter gorge grass grove haze hill jazz lake leaf leaves lion meadow microwave moon morning mountain night oath
paper pine planet plant plasma pond puddle pyramid rain resonance river salad sea serenity shadow shape silence sky
smoke snow snowball snowflake sound spaceship star sun sunset surf terrain thunder totem tree truffle universe
valley vortex voice water waterfall wave wildflower wind wood yogurt
""".split()


def run_name(number: int) -> str:
    """Return a made-up name that ends in the run's number and so is unlike any other's."""
    how, what = os.urandom(2)
    return f"{_HOW[how % len(_HOW)]}-{_WHAT[what % len(_WHAT)]}-{number}"
