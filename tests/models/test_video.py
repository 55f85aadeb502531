"""What is asked of a video: sizes and negative prompts that cannot be are named before anything is loaded; keys; shifts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from s2g.engine.resolve import outline, resolve
from s2g.errors import UserError
from s2g.models.family import WAN
from s2g.models.video import NEGATIVES, negative_words

TYPED = ("model=wan_1_3b", "model.weights=random", "bench=prompts")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("model.frames=80", ["model.frames = 80", "1, 5, 9", "model.frames=77 or model.frames=81"]),
        ("model.frames=82", ["model.frames=81 or model.frames=85"]),
        ("model.frames=0", ["model.frames = 0", "1 or more"]),
        ("model.frames=many", ["model.frames", "a whole number"]),
        ("model.frames=null", ["model.frames = null", "model.frames=NUMBER"]),
        ("model.height=488", ["model.height = 488", "multiples of 16", "model.height=480 or model.height=496"]),
        ("model.width=8", ["model.width = 8", "multiples of 16", "model.width=16"]),
        ("model.width=null", ["model.width = null", "model.width=NUMBER"]),
        ("model.height=tall", ["model.height = 'tall'", "a whole number"]),
        ("model.fps=0", ["model.fps = 0", "1 or more"]),
        ("model.resolution=720", ["model.resolution = 720", "null", "model.height=PIXELS model.width=PIXELS"]),
        (
            "model.negative=offical",
            ["model.negative = offical", "Did you mean 'official'?", "diffusers, official", "'too bright'"],
        ),
        ("model.memory=disk", ["model.memory = disk", "resident, offload"]),
    ],
)
def test_what_cannot_be_is_named(typed: str, said: list[str], composed: Callable[..., dict]) -> None:
    with pytest.raises(UserError) as caught:
        outline(composed(*TYPED, typed))
    assert all(part in str(caught.value) for part in said), str(caught.value)


def test_sizes_are_a_models_own(composed: Callable[..., dict]) -> None:
    model = outline(composed(*TYPED)).model
    assert (model.video, model.fps, model.resolution) == ((81, 480, 832), 16, 480)
    assert WAN.latent_size(*model.video) == (21, 60, 104) and WAN.latent_size(1, 16, 32) == (1, 2, 4)
    tall = outline(composed(*TYPED, "model.height=1280", "model.width=720", "model.frames=5")).model
    assert (
        tall.resolution == 720 and tall.makes_videos and not outline(composed("model=sd35", "bench=prompts")).model.makes_videos
    )


def test_what_changes_samples_is_in_the_key(composed: Callable[..., dict]) -> None:
    def key(*typed: str) -> str:
        return resolve(composed(*TYPED, *typed))[0].key

    assert key() == key("model.memory=offload") == key("model.negative=''")
    words = f"model.negative='{NEGATIVES['official']}'"
    others = ["model.frames=77", "model.height=496", "model.width=816", "model.negative=official", "model.vae_tiling=true"]
    others += ["model.fps=24", "sampler=wan_official", "model.negative='a b'"]  # the rate is in the file
    assert len({key(), *map(key, others)}) == 9
    assert outline(composed(*TYPED, "model.negative=official")).model.negative == "official"
    assert negative_words("official") == negative_words(words.split("'")[1])
    image = resolve(composed("model=sd35", "model.weights=random", "bench=prompts"))[0].identity()["model"]
    assert not {"frames", "height", "width", "fps", "negative"} & set(image)  # keys from before there were videos


def test_the_official_words_are_those_of_its_repository() -> None:
    words = NEGATIVES["official"]
    assert NEGATIVES["diffusers"] == "" and words.startswith("色调艳丽，过曝") and words.endswith("倒着走")
    assert words.count("，") == 27 and "JPEG压缩残留" in words
    assert hashlib.sha256(words.encode()).hexdigest().startswith("ce96e0324e4b")


@pytest.mark.parametrize(
    ("typed", "want"),
    [
        ((), ("UniPC", 50, 3.0)),
        (("model.height=720", "model.width=1280"), ("UniPC", 50, 5.0)),
        (("model.height=720", "model.width=1280", "sampler.shift=8"), ("UniPC", 50, 8.0)),
        (("sampler=wan_official",), ("UniPC", 50, 5.0)),
        (("sampler=flow_match_euler", "sampler.steps=50"), ("FlowMatchEuler", 50, 3.0)),
        (("sampler=flow_match_euler", "model.height=720", "model.width=1280"), ("FlowMatchEuler", 28, 5.0)),
    ],
)
@pytest.mark.parametrize("model", ["wan_1_3b", "wan_14b"])
def test_the_shift_follows_the_size(model: str, typed: tuple[str, ...], want: tuple, composed: Callable[..., dict]) -> None:
    sampler = outline(composed(f"model={model}", "bench=vbench", *typed)).sampler
    assert (type(sampler).__name__, sampler.steps, sampler.shift) == want  # type: ignore[attr-defined]
