"""The HPS scorer against a straight line of open_clip and torchvision, and its preprocessing by known answers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import small_clip
import torch
from PIL import Image
from torchvision import transforms

from s2g.benchmarks.hps import checkpoint, published
from s2g.benchmarks.hps.clip import Clip, check
from s2g.errors import UserError

PROMPTS = ["a red circle", "Two CATS &amp; a dog, by night", "", "日本 🎨", "word " * 100]


@pytest.fixture(autouse=True)
def cache(own_cache: Path) -> Path:
    return own_cache


@pytest.fixture
def images() -> list[np.ndarray]:
    noise = np.random.default_rng(0)
    return [noise.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((32, 32), (96, 96), (90, 64), (50, 131), (20, 20))]


def clip_of(folder: Path, antialias: bool = True, dtype: str = "fp32") -> Clip:
    weights, sizes = small_clip.write(folder)
    return Clip(str(weights), str(sizes), antialias, dtype)


def straight(images: list[np.ndarray], antialias: bool) -> list[float]:
    """As one would write it with open_clip and torchvision alone, an image at a time."""
    normalize = transforms.Normalize(open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)

    def prepare(image: Image.Image) -> torch.Tensor:
        size = (round(image.height * 32 / max(image.size)), round(image.width * 32 / max(image.size)))
        bicubic = transforms.InterpolationMode.BICUBIC
        small = transforms.Resize(size, interpolation=bicubic, antialias=antialias)(transforms.ToTensor()(image))
        canvas = torch.zeros(3, 32, 32)
        top, left = (32 - size[0]) // 2, (32 - size[1]) // 2
        canvas[:, top : top + size[0], left : left + size[1]] = small
        return normalize(canvas)

    model, tokens = small_clip.network(), open_clip.get_tokenizer("ViT-H-14")
    found = []
    with torch.no_grad():
        for image, prompt in zip(images, PROMPTS, strict=True):
            both = model(prepare(Image.fromarray(image))[None], tokens([prompt]))
            found.append(100 * float(both["image_features"][0] @ both["text_features"][0]))
    return found


@pytest.mark.parametrize("antialias", [True, False])
def test_scores_are_those_of_a_straight_line(antialias: bool, images: list[np.ndarray], tmp_path: Path) -> None:
    ours = clip_of(tmp_path, antialias).scores(list(zip(images, PROMPTS, strict=True)), "cpu")
    assert ours == pytest.approx(straight(images, antialias), abs=1e-4)
    assert np.ptp(ours) > 1  # they are numbers that could be wrong


def test_antialias_is_another_score_and_another_key(images: list[np.ndarray], tmp_path: Path) -> None:
    smooth, sharp = (clip_of(tmp_path, antialias) for antialias in (True, False))
    pairs = list(zip(images, PROMPTS, strict=True))
    apart = np.subtract(smooth.scores(pairs, "cpu"), sharp.scores(pairs, "cpu"))
    assert abs(apart[0]) < 1e-6  # of the right size already
    # Where an image is enlarged too: torch's smoothing bicubic is PIL's, the other one overshoots more.
    assert abs(apart[1:]).min() > 0.05
    assert smooth.identity() != sharp.identity() and smooth.identity()["antialias"] is True
    assert clip_of(tmp_path, dtype="fp16").identity() != smooth.identity()


def test_preprocessing_by_known_answers(tmp_path: Path) -> None:
    """One-pixel stripes become even grey where the resize smooths, and stay stripes where it does not."""
    stripes = np.zeros((96, 96, 3), np.uint8)
    stripes[:, ::3] = 255  # every third column: without smoothing, a third's middle column is black everywhere
    scale = torch.tensor(open_clip.OPENAI_DATASET_STD)[:, None, None]
    shift = torch.tensor(open_clip.OPENAI_DATASET_MEAN)[:, None, None]
    smooth, sharp = ((clip_of(tmp_path, on).prepared(stripes, 32) * scale + shift)[:, 4:-4, 4:-4] for on in (True, False))
    assert smooth.mean() == pytest.approx(1 / 3, abs=0.01) and smooth.std() < 0.01
    assert abs(float(sharp.mean())) < 0.01
    wide = np.full((40, 80, 3), 200, np.uint8)
    seen = clip_of(tmp_path).prepared(wide, 32) * scale + shift
    assert seen.shape == (3, 32, 32)  # the whole image, and black above and below
    assert torch.allclose(seen[:, 8:24], torch.tensor(200 / 255), atol=0.001)
    assert seen[:, :8].abs().max() < 1e-6 and seen[:, 24:].abs().max() < 1e-6


def test_an_image_of_two_rows_keeps_one(tmp_path: Path) -> None:
    clip = clip_of(tmp_path)
    scale = torch.tensor(open_clip.OPENAI_DATASET_STD)[:, None, None]
    shift = torch.tensor(open_clip.OPENAI_DATASET_MEAN)[:, None, None]
    seen = clip.prepared(np.full((2, 3000, 3), 255, np.uint8), 32) * scale + shift
    assert seen.shape == (3, 32, 32) and (seen[0].mean(1) > 0.5).sum() == 1
    assert np.isfinite(clip.scores([(np.full((2, 3000, 3), 255, np.uint8), "a line")], "cpu")[0])


def test_a_score_does_not_depend_on_its_neighbours(tmp_path: Path) -> None:
    noise = np.random.default_rng(1)
    pairs = [(noise.integers(0, 256, (40, 40, 3), dtype=np.uint8), f"prompt {i}") for i in range(11)]
    clip = clip_of(tmp_path)
    assert clip.scores(pairs, "cpu") == [clip.scores([pair], "cpu")[0] for pair in pairs]  # to the last bit


def test_half_precision_is_close_and_not_the_same(images: list[np.ndarray], tmp_path: Path) -> None:
    pairs = list(zip(images, PROMPTS, strict=True))
    whole, half = (clip_of(tmp_path, dtype=dtype).scores(pairs, "cpu") for dtype in ("fp32", "fp16"))
    assert half == pytest.approx(whole, abs=0.5) and half != whole


def test_version_2_0_under_any_name_is_named(tmp_path: Path) -> None:
    new, sizes = small_clip.write(tmp_path / "new", published.V21, seed=1)
    old, _ = small_clip.write(tmp_path / "old", published.V21, seed=2)  # its content, under 2.1's name
    check(Clip(str(old), str(sizes)))  # nothing is recorded yet: nothing can tell
    assert not checkpoint.official(str(old))
    sums = {published.V21: checkpoint.content_hash(new), published.V20: checkpoint.content_hash(old)}
    published.record("weights", sums)
    check(Clip(str(new), str(sizes)))
    assert checkpoint.official(str(new))
    with pytest.raises(
        UserError, match=r"v2\.0, under the name HPS_v2\.1_compressed\.pt(.|\n)*not comparable(.|\n)*s2g fetch hps"
    ):
        check(Clip(str(old), str(sizes)))
    old.rename(renamed := tmp_path / "mine.pt")
    with pytest.raises(UserError, match=r"v2\.0, under the name mine\.pt"):
        check(Clip(str(renamed), str(sizes)))
    other, _ = small_clip.write(tmp_path / "other", published.V21, seed=3)
    with pytest.raises(UserError, match="not the file of that name on the hub"):
        check(Clip(str(other), str(sizes)))
    named, _ = small_clip.write(tmp_path / "old", published.V20, seed=4)
    with pytest.raises(UserError, match=r"that is the checkpoint of HPS v2\.0"):
        check(Clip(str(named), str(sizes)))


def test_what_was_recorded_first_stays(tmp_path: Path) -> None:
    published.record("weights", {published.V21: "a"})
    published.record("weights", {published.V21: "b", published.V20: "c"})
    assert published.recorded() == {"prompts": {}, "weights": {published.V21: "a", published.V20: "c"}}


def test_checkpoints_that_do_not_fit(tmp_path: Path) -> None:
    weights, sizes = small_clip.write(tmp_path)
    state = small_clip.network().state_dict()
    lacking = {name: tensor for name, tensor in state.items() if name != "visual.proj"}
    shorter = state | {"visual.proj": torch.zeros(3, 16)}
    for held, said in (
        ({"state_dict": lacking}, "visual.proj is lacking"),
        ({"state_dict": state | {"more": torch.zeros(1)}}, "more is not of it"),
        ({"state_dict": shorter}, r"visual.proj is \(3, 16\) instead of \(32, 16\)"),
        (state, "no state_dict"),
        ([1], "no state_dict"),
    ):
        torch.save(held, tmp_path / "wrong.pt")
        with pytest.raises(UserError, match=said):
            check(Clip(str(tmp_path / "wrong.pt"), str(sizes)))
    (tmp_path / "wrong.pt").write_bytes(weights.read_bytes()[:3000])
    with pytest.raises(UserError, match="not a checkpoint"):
        check(Clip(str(tmp_path / "wrong.pt"), str(sizes)))
    with pytest.raises(
        UserError, match=r"bench.weights = HPS_v2.1_compressed.pt: no file(.|\n)*s2g fetch hps(.|\n)*hf download xswu/HPSv2"
    ):
        check(Clip(published.V21, str(sizes)))
    with pytest.raises(UserError, match=r"bench.architecture = ViT-H-41: open_clip(.|\n)*allowed: ViT-H-14"):
        check(Clip(str(weights), "ViT-H-41"))
    with pytest.raises(UserError, match=r"it is no ViT-H-14: "):
        check(Clip(str(weights)))
    (tmp_path / "half.json").write_text(json.dumps({"embed_dim": 3}))
    with pytest.raises(UserError, match="makes no CLIP"):
        check(Clip(str(weights), str(tmp_path / "half.json")))


def test_sizes_that_are_not_written_have_open_clips_defaults(tmp_path: Path) -> None:
    weights, sizes = small_clip.write(tmp_path, side=224)
    image = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    whole = Clip(str(weights), str(sizes)).scores([(image, "a cat")], "cpu")
    held = json.loads(sizes.read_text())
    del held["text_cfg"]["context_length"], held["vision_cfg"]["image_size"]
    (short := tmp_path / "short.json").write_text(json.dumps(held))
    check(Clip(str(weights), str(short)))
    assert Clip(str(weights), str(short)).scores([(image, "a cat")], "cpu") == whole
    (quick := tmp_path / "quick.json").write_text(json.dumps({**held, "quick_gelu": True}))
    other = Clip(str(weights), str(quick)).scores([(image, "a cat")], "cpu")
    assert abs(other[0] - whole[0]) > 1e-3  # another activation, of the same weights
