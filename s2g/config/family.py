"""What a model family is: the record of facts that are known before any network is loaded."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

PACKAGE = __name__.partition(".")[0]
NETWORK, DECODER = "transformer", "vae"  # folders of a pipeline in diffusers' layout


def import_object(target: str) -> Any:
    """Return the object at "package.module:attribute"."""
    module, attribute = target.split(":")
    return getattr(importlib.import_module(module), attribute)


@dataclass(frozen=True)
class Layout:
    """Parts of a family's pipeline: classes as its files name them, and the folders it needs."""

    pipeline: str
    network: str
    text: tuple[str, ...]  # tokenizers and text encoders
    optional: tuple[str, ...] = ()  # text parts that may be absent, all together
    foreign: tuple[str, ...] = ()  # parts that mark another kind of model under the same class
    depth: tuple[str, ...] = ("num_layers",)  # settings of the network that sum to its number of blocks
    distinguishing: tuple[str, ...] = ()  # settings that make it another model by their absence or presence

    @property
    def needed(self) -> tuple[str, ...]:
        """Parts without which there is no pipeline."""
        return (NETWORK, DECODER, *(part for part in self.text if part not in self.optional))


@dataclass(frozen=True)
class Family:
    """Facts about a family of models; code is named as "module:attribute" and imported on first use.

    The records are in s2g/models/family.py. The defaults describe a class-conditional model on pixels.
    """

    name: str  # model.family
    summary: str  # one line for `s2g ls`
    adapter: str  # its Denoiser class, with `load`, `meta_model` and, if prompts are embedded beforehand, `precompute_text`
    reads_text: bool = False  # prompts are texts; else class labels
    makes_videos: bool = False  # items have frames
    packed: bool = False  # latents are a list of tokens, without an axis of channels
    points: bool = False  # items are points, without rows and columns
    trained: bool = True  # needs weights: model.weights=none is refused
    random: bool = False  # model.weights=random[:SEED] is possible
    layout: Layout | None = None  # its pipeline's, if it is one of diffusers
    blocks: tuple[str, ...] = ("blocks",)  # the network's module lists of residual blocks, in execution order
    stride: int = 1  # pixels per latent along a side
    frame_stride: int = 1  # frames per latent, after the first
    patch: int | None = None  # latents per token along a side; None: model.network.patch_size says
    one_size: bool = False  # images of model.network.sample_size pixels alone
    text_tokens: int = 0  # text tokens the network is given
    vocabulary: str = ""  # the only words it reads ("module:VOCABULARY"); "": any
    shipped: str = ""  # (network, early) -> (weights file, command that trains it), if it is not named after the model
    hashed_name: str = ""  # the family's former name: still accepted, and still what run keys hash

    @property
    def own(self) -> bool:
        """Whether its adapter is the user's, not S2G's."""
        return bool(self.adapter) and self.adapter.partition(".")[0] != PACKAGE

    @property
    def reads_any_text(self) -> bool:
        """Whether its prompts are texts of any words."""
        return self.reads_text and not self.vocabulary

    @property
    def makes_images_of_texts(self) -> bool:
        """Whether its items are images of texts; not doubted where its adapter is not known here, as when stored images of a
        user's own model are scored."""
        return not self.adapter or (self.reads_text and not self.makes_videos)

    def load_vocabulary(self) -> Any:
        """Return the words it is limited to, a Vocabulary; None where it reads any."""
        return import_object(self.vocabulary) if self.vocabulary else None

    def load(self) -> Any:
        """Return the adapter class."""
        return import_object(self.adapter)

    def latent_size(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        """Return frames, height and width of a video's latents."""
        return (frames - 1) // self.frame_stride + 1, height // self.stride, width // self.stride

    def blocks_of(self, network: Any) -> list[Any]:
        """Return the residual blocks of a network in execution order."""
        return [block for name in self.blocks for block in getattr(network, name)]
