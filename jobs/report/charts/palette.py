"""The colours of page and charts, each for a light and a dark page. Charts are drawn in the light ones; the page exchanges them by name.

Marks stand out from the card by 3:1 and texts by 4.5:1 at least, in both (WCAG 2.2, 1.4.3 and 1.4.11; a test computes them).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Colour:
    light: str
    dark: str


# No two light ones are alike: the page finds them in a drawing by their value.
COLOURS: Mapping[str, Colour] = {
    "card": Colour("#ffffff", "#1b2129"),
    "ink": Colour("#1c2430", "#e6eaf0"),
    "soft": Colour("#5b6675", "#a0acba"),
    "line": Colour("#dde2e9", "#303945"),
    "track": Colour("#e9eef6", "#262f3b"),
    # series, in the order they are given out
    "blue": Colour("#2f6fd0", "#6ea3f5"),
    "orange": Colour("#b8540a", "#f0a35e"),
    "teal": Colour("#0b7a75", "#4fc4bb"),
    "purple": Colour("#7a3fb0", "#c09af0"),
    "pink": Colour("#b3246b", "#f08bb8"),
    "olive": Colour("#6b6b00", "#c9c95a"),
    "brown": Colour("#7a4a2a", "#d1a583"),
    "grey": Colour("#6a7686", "#94a1b1"),
    # severities
    "s1": Colour("#b3261e", "#ff9a92"),
    "s2": Colour("#8a5a00", "#f2c265"),
    "s3": Colour("#0b6470", "#7fd4de"),
    "s4": Colour("#5c6776", "#a1adbb"),
    "good": Colour("#1b6e3c", "#7fd69f"),
    # a heat map's steps, from little to much, and the text upon each
    "heat0": Colour("#f3f6fb", "#212934"),
    "heat1": Colour("#dce8f9", "#22354f"),
    "heat2": Colour("#b9d2f4", "#26466f"),
    "heat3": Colour("#8db6ec", "#2c5a92"),
    "heat4": Colour("#3570c8", "#74a7f2"),
    "heat5": Colour("#2358a8", "#9cc1f8"),
    "heat6": Colour("#123a78", "#c9defc"),
    "heat0_ink": Colour("#1c2431", "#e6eaf1"),
    "heat1_ink": Colour("#1c2432", "#e6eaf2"),
    "heat2_ink": Colour("#1c2433", "#e6eaf3"),
    "heat3_ink": Colour("#1c2434", "#e6eaf4"),
    "heat4_ink": Colour("#fffffe", "#10161f"),
    "heat5_ink": Colour("#fffffd", "#10161e"),
    "heat6_ink": Colour("#fffffc", "#10161d"),
}
SERIES = ("blue", "orange", "teal", "purple", "pink", "olive", "brown", "grey")
HEAT_STEPS = 7


def light(name: str) -> str:
    """The value charts are drawn with."""
    return COLOURS[name].light


def heat(share: float) -> str:
    """The name of the step for a share of the largest (0 to 1)."""
    return f"heat{min(HEAT_STEPS - 1, int(max(0.0, share) * HEAT_STEPS))}"


def variables(scheme: str) -> str:
    """The colours as CSS custom properties. scheme: light or dark."""
    return " ".join(f"--{name}: {getattr(colour, scheme)};" for name, colour in COLOURS.items())


def themed(svg: str) -> str:
    """A drawing whose colours are the page's: both schemes in one."""
    for name, colour in COLOURS.items():
        svg = svg.replace(f'"{colour.light}"', f'"var(--{name})"')
    return svg


def contrast(one: str, other: str) -> float:
    """WCAG's contrast of two colours, 1 to 21. Source: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio (read 2026-11-26)."""
    bright, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
