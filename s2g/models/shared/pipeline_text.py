"""The text encoders of stock pipelines: diffusers loads them and turns one prompt into embeddings, as its `__call__` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from s2g.config.pipelines import Located
from s2g.config.schema import ModelConfig
from s2g.errors import UserError
from s2g.models.shared.prompt_cache import Embedded, PromptCache
from s2g.models.shared.quiet import quiet
from s2g.models.shared.text import BOTH, CachedText, Encode
from s2g.models.shared.weights import check_finite, fresh

if TYPE_CHECKING:
    from diffusers.pipelines.pipeline_utils import DiffusionPipeline

KNOWN_SENTENCE = "a cat and 2 dogs on a table"  # in every tokenizer's vocabulary
VERSION = "1"  # raised whenever what is made of a prompt changes
Encoding = Callable[[Any, str, torch.device], Embedded]  # of one prompt, by a pipeline's own encoders


def cached_text(
    config: ModelConfig,
    located: Located,
    device: torch.device,
    dtype: torch.dtype,
    pipeline: Callable[[Mapping[str, Any]], Any],
    encoding: Encoding,
    names: Sequence[str] = BOTH,
    length: int | None = None,
    **more: str,
) -> CachedText:
    """Return embeddings of a pipeline's encoders in `dtype`, from the cache where it has them.

    pipeline: the stock pipeline from keyword arguments of from_pretrained; encoding: what of one prompt is kept; names,
    length: as CachedText has them; more: whatever else embeddings depend on.
    """
    made_by = {"version": VERSION, "text": located.text_sha256(), "dtype": str(dtype), "device": device.type, **more}

    @contextmanager
    def encoders() -> Iterator[Encode]:
        stock = load_text(config, located, device, dtype, pipeline)
        with quiet():
            yield lambda prompt: check_embedded(encoding(stock, prompt, device), prompt, config)

    return CachedText(PromptCache(config.name, made_by), encoders, device, names, length)


def load_text(
    config: ModelConfig,
    located: Located,
    device: torch.device,
    dtype: torch.dtype,
    pipeline: Callable[[Mapping[str, Any]], Any],
) -> DiffusionPipeline:
    """Load a stock pipeline of tokenizers and text encoders alone, on `device`; UserError for files that cannot be read."""
    absent = {part: None for part in located.layout.optional if part not in located.folders}
    with quiet():
        try:
            stock = pipeline(
                {
                    "torch_dtype": dtype,
                    "local_files_only": True,
                    "variant": located.variant or None,
                    "vae": None,
                    "scheduler": None,
                    **absent,
                }
            )
        except (OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
            first_line = str(error).splitlines()[0]
            raise UserError(
                f"{config.key} = {config.weights}: the text encoders in {located.root} cannot be read ({first_line})",
                allowed=f"{located.layout.pipeline} in diffusers' layout",
                todo="fetch the folder again",
            ) from error
    for part in located.layout.text:
        component, subject = getattr(stock, part, None), f"{config.key} = {config.weights}: {part}"
        if isinstance(component, nn.Module):
            check_finite(component.state_dict(), subject)
            nn.Module.to(fresh(component).eval(), device)
        elif component is not None:
            check_tokenizer(component, getattr(stock, part.replace("tokenizer", "text_encoder")), subject)
    return stock


def check_embedded(embedded: Embedded, prompt: str, config: ModelConfig) -> Embedded:
    """Return a prompt's embeddings as they are; UserError where they are NaN or infinite."""
    if all(torch.isfinite(tensor).all() for tensor in embedded.tensors.values()):
        return embedded
    raise UserError(
        f"{config.key} = {config.weights}: its text encoders give no finite numbers for '{prompt[:60]}' in {config.dtype}",
        todo="model.dtype=bf16 or model.dtype=fp32" if config.dtype == "fp16" else "leave this prompt out",
    )


def check_tokenizer(tokenizer: Any, encoder: nn.Module, subject: str) -> None:
    """Raise UserError for a tokenizer that loses the words of a plain sentence, or has more tokens than its encoder."""
    tokens = tokenizer(KNOWN_SENTENCE, add_special_tokens=False).input_ids
    read = tokenizer.decode(tokens)
    if "".join(read.split()) != "".join(KNOWN_SENTENCE.split()):
        raise UserError(
            f"{subject} reads '{KNOWN_SENTENCE}' as '{read[:60]}': its vocabulary is not this model's",
            todo="copy or download its folder again, with vocab.json and merges.txt, spiece.model or tokenizer.json",
        )
    vocabulary: int = encoder.config.vocab_size  # type: ignore[assignment]
    if max(tokens) >= vocabulary:
        raise UserError(
            f"{subject} gives token {max(tokens)}, and its text encoder has {vocabulary}",
            todo="copy or download both folders again, from one pipeline",
        )


def truncation(stock: Any, prompt: str, limits: Mapping[str, int]) -> str:
    """Say how many tokens of a prompt each tokenizer reads, where it truncates it; "" if none does."""
    remarks = []
    for name, most in limits.items():
        tokenizer = getattr(stock, name, None)
        if tokenizer is None:
            continue
        tokens = len(tokenizer(prompt, truncation=False).input_ids)
        if tokens > most:
            remarks.append(f"{name} reads {most} of {tokens} tokens")
    return ", ".join(remarks)
