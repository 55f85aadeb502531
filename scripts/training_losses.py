"""What the built-in networks minimise: flow matching with labels or captions, and the cross entropies of what reads samples."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from s2g.models.sit import SiT
from s2g.models.tiny_sd3 import TinySD3
from s2g.models.tiny_wan import TinyWan
from s2g.models.toy import ToyNetwork
from s2g.worlds.shapes import motion
from s2g.worlds.shapes.reader import Reader
from s2g.worlds.shapes.video_reader import VideoReader
from s2g.worlds.shapes.world import ATTRIBUTES, attributes_of

LABEL_DROPOUT = 0.1


def noisy(images: Tensor, generator: torch.Generator) -> Tensor:
    """Add a little noise to images: samples are never as clean as scenes."""
    noise = (
        torch.randn(images.shape, generator=generator)
        * torch.rand(len(images), *(1,) * (images.ndim - 1), generator=generator)
        * 0.15
    )
    return images + noise.to(images.device)


def probe_loss(model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Compute the cross entropy of the three heads."""
    reading = model(noisy(images, generator))
    truth = attributes_of(labels)
    return sum(nn.functional.nll_loss(reading.logp[name], truth[name]) for name in ATTRIBUTES)


def reader_loss(model: Reader, images: Tensor, asked: Tensor, generator: torch.Generator) -> Tensor:
    """Compute the cross entropy of the layout and of the present objects' attributes; asked: Captioned's columns [B, 3]."""
    reading = model(noisy(images, generator))
    loss = nn.functional.nll_loss(reading.layout, asked[:, 2] + 1)
    for objects, label in zip(reading.objects, asked.T, strict=False):
        there = label >= 0
        truth = attributes_of(label[there])
        loss = loss + sum(nn.functional.nll_loss(objects[name][there], truth[name]) for name in ATTRIBUTES)
    return loss


def video_reader_loss(model: VideoReader, videos: Tensor, kinds: Tensor, generator: torch.Generator) -> Tensor:
    """Compute the cross entropy of shape, color and motion."""
    reading, truth = model(noisy(videos, generator)), motion.attributes_of(kinds)
    return sum((nn.functional.nll_loss(reading.logp[name], truth[name]) for name in truth), torch.zeros(()))


def class_loss(model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Compute the cross entropy of ten classes."""
    return nn.functional.nll_loss(model(noisy(images, generator))[0], labels)


def velocity_loss(model: SiT, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Compute flow matching at logit-normal times (arXiv 2403.03206); a tenth of the labels becomes "no class"."""
    noise = torch.randn(images.shape, generator=generator).to(images.device)
    t = torch.randn(len(images), generator=generator).sigmoid().to(images.device)
    dropped = (torch.rand(len(images), generator=generator) < LABEL_DROPOUT).to(images.device)
    t_image = t[:, None, None, None]
    prediction = model(t_image * images + (1 - t_image) * noise, t, torch.where(dropped, model.num_classes, labels))
    return (prediction - (images - noise)).square().mean()


def point_loss(model: ToyNetwork, drawn: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Compute flow matching of points, whose noise and time come with them [B, 2 D + 1]; generator: not used."""
    size = drawn.shape[1] // 2
    data, noise, t = drawn[:, :size], drawn[:, size:-1], drawn[:, -1:]
    x, velocity = (t * data + (1 - t) * noise).float(), (data - noise).float()  # in float64 up to here
    return (model(x, t[:, 0].float(), labels) - velocity).square().mean()


def caption_loss(
    model: TinySD3 | TinyWan, images: Tensor, tokens: Tensor, generator: torch.Generator, shift: float = 1.0
) -> Tensor:
    """Compute `velocity_loss` for captions of images or videos, in SD3's and Wan's own direction: noise - data at level s."""
    noise = torch.randn(images.shape, generator=generator).to(images.device)
    level = torch.randn(len(images), generator=generator).sigmoid().to(images.device)
    dropped = (torch.rand(len(images), generator=generator) < LABEL_DROPOUT).to(images.device)
    level = shift * level / (1 + (shift - 1) * level)  # flow shift, as in sampling
    level_image = level.view(-1, *(1,) * (images.ndim - 1))
    nothing = torch.tensor(model.text.vocabulary.tokens(""), device=tokens.device)
    given = torch.where(dropped[:, None], nothing, tokens)
    return (model((1 - level_image) * images + level_image * noise, level, given) - (noise - images)).square().mean()
