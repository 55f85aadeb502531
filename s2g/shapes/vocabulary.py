"""The words of the built-in world's captions, and captions as the numbers its text encoder is given."""

from __future__ import annotations

from s2g.errors import UserError
from s2g.shapes.captioned import RELATIONS
from s2g.shapes.world import COLORS, SHAPES, TEXTURES

WORDS = ("a", *COLORS, *TEXTURES, *SHAPES, *dict.fromkeys(" ".join(RELATIONS).split()))
START, PAD, FIRST = 0, 1, 2  # numbers of tokens; words from FIRST on, in the order of WORDS
LENGTH = 12  # tokens of a caption: a start and eleven words, one more than the longest caption of the world


def tokens(caption: str) -> list[int]:
    """Numbers of a caption's words, [LENGTH]; words beyond are cut off. UserError names a word that is none of WORDS."""
    words = words_of(caption)
    for word in words:
        if word not in WORDS:
            raise UserError(
                f"prompt {shown(caption)}: the built-in model does not know the word {shown(word)}",
                allowed=", ".join(WORDS),
                todo="bench.text=['a red striped circle left of a blue solid square'], or a model of any words: sd35, flux",
            )
    found = [START, *(FIRST + WORDS.index(word) for word in words)][:LENGTH]
    return found + [PAD] * (LENGTH - len(found))


def words_of(caption: str) -> list[str]:
    """A caption's words: small letters, without commas and full stops."""
    return caption.lower().replace(",", " ").replace(".", " ").split()


def cut_off(caption: str) -> str:
    """The words of a caption that its tokens leave out; empty where it is short enough."""
    return " ".join(words_of(caption)[LENGTH - 1 :])


def shown(text: str, most: int = 60) -> str:
    """A text in quotes, cut where it is long."""
    return repr(text if len(text) <= most else f"{text[: most - 3]}...")
