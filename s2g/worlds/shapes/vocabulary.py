"""The words of the built-in world's captions, and captions as the numbers its text encoders are given."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from s2g.config.schema import model_names
from s2g.errors import UserError
from s2g.worlds.shapes.captions import RELATIONS
from s2g.worlds.shapes.motion import MOTIONS
from s2g.worlds.shapes.world import COLORS, SHAPES, TEXTURES

START, PAD, FIRST = 0, 1, 2  # numbers of tokens; words from FIRST on, in the vocabulary's order


@dataclass(frozen=True)
class Vocabulary:
    """The words a built-in text encoder knows; their order is part of its weights."""

    words: tuple[str, ...]
    length: int  # tokens of a caption: a start and words, one more than the longest caption of the world
    example: str  # a caption it reads
    videos: bool = False  # of captions of videos

    def tokens(self, caption: str) -> list[int]:
        """Tokenize a caption: [length], longer ones are truncated. UserError names a word that is not in `words`."""
        for word in (words := words_of(caption)):
            if word not in self.words:
                raise UserError(
                    f"prompt {shown(caption)}: the built-in model does not know the word {shown(word)}",
                    allowed=", ".join(self.words),
                    todo=f"bench.text=['{self.example}'], or a model of any words: {', '.join(self._others())}",
                )
        numbers = [START, *(FIRST + self.words.index(word) for word in words)][: self.length]
        return numbers + [PAD] * (self.length - len(numbers))

    def check(self, prompts: Iterable[str]) -> None:
        """Raise UserError for the first prompt with an unknown word, or with none."""
        for prompt in prompts:
            self.tokens(prompt)  # names a word that it does not know
            if not words_of(prompt):  # it would be the empty prompt, which is "no condition"
                raise UserError(f"prompt {shown(prompt)}: it has no words", allowed="prompts of at least one word")

    def _others(self) -> list[str]:
        """Return the names of models that make the same kind of items of any words."""
        return model_names(lambda family: family.reads_any_text and family.makes_videos == self.videos)

    def cut_off(self, caption: str) -> str:
        """Return the words that truncation removes; empty where the caption is short enough."""
        return " ".join(words_of(caption)[self.length - 1 :])


def words_of(caption: str) -> list[str]:
    """Split a caption into words: lower case, without commas and full stops."""
    return caption.lower().replace(",", " ").replace(".", " ").split()


def shown(text: str, most: int = 60) -> str:
    """Quote a text, shortened where it is long."""
    return repr(text if len(text) <= most else f"{text[: most - 3]}...")


def _each(phrases: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(" ".join(phrases).split()))


STILLS = Vocabulary(  # tiny_sd3's
    ("a", *COLORS, *TEXTURES, *SHAPES, *_each(RELATIONS)), 12, "a red striped circle left of a blue solid square"
)
VIDEOS = Vocabulary(("a", *COLORS, *SHAPES, *_each(MOTIONS)), 8, "a red circle moving left", videos=True)  # tiny_wan's
