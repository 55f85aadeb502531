"""DINOv2 of small random weights against a float64 computation in numpy, transformers' network and torch-fidelity's reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.linalg import sqrtm
from scipy.special import erf

from s2g.benchmarks.distances.dinov2 import MEAN, STD, DinoV2
from s2g.benchmarks.distances.vision_transformer import VisionTransformer
from s2g.benchmarks.folder.bench import Folder
from s2g.errors import UserError


def drawn(width: int = 64, depth: int = 2, grid: int = 16, gated: bool = False) -> dict[str, torch.Tensor]:
    """Weights with the official file's names, every number drawn."""
    hidden = 2 * 96 if gated else 4 * width
    shapes = {
        "cls_token": (1, 1, width), "pos_embed": (1, 1 + grid**2, width), "mask_token": (1, width),
        "patch_embed.proj.weight": (width, 3, 14, 14), "patch_embed.proj.bias": (width,),
        "norm.weight": (width,), "norm.bias": (width,),
    }  # fmt: skip
    first, second = ("w12", "w3") if gated else ("fc1", "fc2")
    for block in range(depth):
        layers = {"attn.qkv": (3 * width, width), "attn.proj": (width, width)}
        layers |= {f"mlp.{first}": (hidden, width), f"mlp.{second}": (width, hidden // (1 + gated))}
        for name, shape in layers.items():
            shapes |= {f"blocks.{block}.{name}.weight": shape, f"blocks.{block}.{name}.bias": shape[:1]}
        for name in ("norm1", "norm2"):
            shapes |= {f"blocks.{block}.{name}.{kind}": (width,) for kind in ("weight", "bias")}
        shapes |= {f"blocks.{block}.{name}.gamma": (width,) for name in ("ls1", "ls2")}
    torch.manual_seed(0)
    return {
        name: torch.randn(shape) * (0.5 if len(shape) < 2 or "embed" not in name else 0.1) / max(1, shape[-1] ** 0.5 / 8)
        + float(name.endswith(("norm.weight", "norm1.weight", "norm2.weight")))
        for name, shape in shapes.items()
    }


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dinov2") / "random.pth"
    torch.save(drawn(), path)
    return path


def pictures(count: int, side: int = 40, seed: int = 0) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (count, 5, 5, 3), dtype=np.uint8)
    return small.repeat(side // 5, 1).repeat(side // 5, 2)


def bicubic(grid: np.ndarray, count: int, scale: float) -> np.ndarray:
    """Keys' cubic with a = -0.75 along the first axis, borders repeated: place i of the result is (i + 1/2) / scale - 1/2."""
    rows = []
    for place in (np.arange(count) + 0.5) / scale - 0.5:
        first, total = int(np.floor(place)), 0.0
        for at in range(first - 1, first + 3):
            d, a = abs(place - at), -0.75
            near = (a + 2) * d**3 - (a + 3) * d**2 + 1
            total = total + (near if d <= 1 else a * (d**3 - 5 * d**2 + 8 * d - 4)) * grid[min(max(at, 0), len(grid) - 1)]
        rows.append(total)
    return np.stack(rows)


def straight(weights: dict[str, torch.Tensor], image: np.ndarray) -> np.ndarray:
    """The class token of one normalized image [3, 224, 224], float64, token by token."""
    w = {name: tensor.double().numpy() for name, tensor in weights.items()}

    def normed(x: np.ndarray, name: str) -> np.ndarray:
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * w[f"{name}.weight"] + w[
            f"{name}.bias"
        ]

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    width = w["cls_token"].shape[-1]
    patches = [image[:, r : r + 14, c : c + 14].ravel() for r in range(0, 224, 14) for c in range(0, 224, 14)]
    x = np.stack(patches).astype(np.float64) @ w["patch_embed.proj.weight"].reshape(width, -1).T + w["patch_embed.proj.bias"]
    position, of_class = w["pos_embed"][0, 1:], w["pos_embed"][0, :1]
    side = int(len(position) ** 0.5)
    if side != 16:
        grid, scale = position.reshape(side, side, width), 16.1 / side
        position = bicubic(bicubic(grid, 16, scale).swapaxes(0, 1), 16, scale).swapaxes(0, 1).reshape(256, width)
    x = np.concatenate([w["cls_token"][0] + of_class, x + position])
    for block in range(sum(name.endswith("ls1.gamma") for name in w)):
        at = f"blocks.{block}"
        q, k, v = np.split(linear(normed(x, f"{at}.norm1"), f"{at}.attn.qkv"), 3, axis=1)
        heads = []
        for h in range(0, width, 64):
            logits = q[:, h : h + 64] @ k[:, h : h + 64].T / 8
            shares = np.exp(logits - logits.max(1, keepdims=True))
            heads.append(shares / shares.sum(1, keepdims=True) @ v[:, h : h + 64])
        x = x + w[f"{at}.ls1.gamma"] * linear(np.concatenate(heads, 1), f"{at}.attn.proj")
        y = normed(x, f"{at}.norm2")
        if f"{at}.mlp.w12.weight" in w:
            gate, value = np.split(linear(y, f"{at}.mlp.w12"), 2, axis=1)
            y = linear(gate / (1 + np.exp(-gate)) * value, f"{at}.mlp.w3")
        else:
            y = linear(y, f"{at}.mlp.fc1")
            y = linear(y * (1 + erf(y / np.sqrt(2))) / 2, f"{at}.mlp.fc2")
        x = x + w[f"{at}.ls2.gamma"] * y
    return normed(x, "norm")[0]


@pytest.mark.parametrize("sizes", [{}, {"width": 128, "grid": 37}, {"gated": True, "depth": 1, "grid": 18}])
def test_the_network_is_the_one_that_numpy_computes(sizes: dict) -> None:
    weights = drawn(**sizes)
    images = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        found = VisionTransformer(weights)(images).numpy()
    spec = np.stack([straight(weights, image) for image in images.numpy()])
    assert np.abs(spec[0] - spec[1]).max() > 0.1  # the images are seen
    assert np.abs(found - spec).max() < 2e-4 * np.abs(spec).max()


def test_the_network_is_transformers_own() -> None:
    from transformers import Dinov2Config, Dinov2Model

    weights = drawn(width=128)
    config = Dinov2Config(hidden_size=128, num_hidden_layers=2, num_attention_heads=2, image_size=224, patch_size=14)
    theirs = Dinov2Model(config).eval()
    names = {
        "cls_token": "embeddings.cls_token",
        "mask_token": "embeddings.mask_token",
        "pos_embed": "embeddings.position_embeddings",
        "patch_embed.proj": "embeddings.patch_embeddings.projection",
        "norm": "layernorm",
        "attn.proj": "attention.o_proj",
        "ls1.gamma": "layer_scale1.lambda1",
        "ls2.gamma": "layer_scale2.lambda1",
    }
    state = {}
    for name, tensor in weights.items():
        block, _, rest = name.removeprefix("blocks.").partition(".") if name.startswith("blocks.") else ("", "", name)
        layer = f"encoder.layer.{block}." if block else ""
        if rest.startswith("attn.qkv"):
            for part, kind in zip(tensor.chunk(3), ("q_proj", "k_proj", "v_proj"), strict=True):
                state[f"{layer}attention.{kind}.{rest.rpartition('.')[2]}"] = part
            continue
        stem, _, last = rest.rpartition(".")
        state[layer + (names.get(rest) or f"{names.get(stem, stem)}.{last}")] = tensor
    theirs.load_state_dict(state)
    images = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        assert torch.allclose(VisionTransformer(weights)(images), theirs(images).pooler_output, atol=1e-4)


def test_torch_fidelity_reads_the_same_off_the_same_network(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2

    monkeypatch.setattr(torch.hub, "load", lambda *named: VisionTransformer(drawn()))
    theirs, images = FeatureExtractorDinoV2("dinov2-vit-l-14", ["dinov2"]), pictures(3)
    with torch.inference_mode():
        (spec,) = theirs(torch.from_numpy(images).movedim(-1, 1))
    found = DinoV2(str(weights), "tensorflow").read(images, "cpu")
    assert np.abs(found - spec.numpy()).max() < 1e-4 and np.abs(found[0] - found[1]).max() > 0.1
    assert np.abs(DinoV2(str(weights)).read(images, "cpu") - found).max() > 1e-3  # Pillow's smooth resize is another metric


def test_images_are_prepared_as_published_distances_were(weights: Path) -> None:
    image = pictures(1, side=300)[0]
    shrunk = np.asarray(Image.fromarray(image).resize((224, 224), Image.Resampling.BICUBIC)).astype(np.float64)
    spec = (shrunk / 255 - np.array(MEAN)) / np.array(STD)
    assert np.allclose(DinoV2(str(weights)).prepared(image[None])[0].movedim(0, -1).numpy(), spec, atol=1e-5)
    assert DinoV2(str(weights)).identity() != DinoV2(str(weights), "tensorflow").identity()


def test_fd_kd_precision_and_recall_are_the_formulas_on_its_features(weights: Path, tmp_path: Path) -> None:
    sides = {}
    for name, seed, count in (("fake", 0, 30), ("real", 1, 24)):
        (tmp_path / name).mkdir()
        sides[name] = pictures(count, seed=seed)
        for at, image in enumerate(sides[name]):
            Image.fromarray(image).save(tmp_path / name / f"{at:03d}.png")
    score = ("fd_dinov2", "kd_dinov2", "precision_dinov2", "recall_dinov2")
    bench = Folder(reference=str(tmp_path / "real"), dinov2=str(weights), score=score)
    arrays = bench.measure(sides["fake"], range(30))
    found = {m.name: m.items(arrays).mean() if m.items else m.value(arrays) for m in bench.metrics}  # type: ignore[misc]
    a, b = (DinoV2(str(weights)).read(images, "cpu").astype(np.float64) for images in sides.values())
    root = sqrtm(np.cov(a.T) @ np.cov(b.T) + 0j)
    fd = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(np.cov(a.T)) + np.trace(np.cov(b.T)) - 2 * np.trace(root).real
    assert found["fd_dinov2"] == pytest.approx(fd, rel=1e-5)
    k = lambda x, y: ((x * y).sum() / 64 + 1) ** 3  # noqa: E731
    own = [np.mean([k(x, y) for i, x in enumerate(s) for j, y in enumerate(s) if i != j]) for s in (a, b)]
    assert found["kd_dinov2"] == pytest.approx(sum(own) - 2 * np.mean([k(x, y) for x in a for y in b]), rel=1e-9)

    def inside(points: np.ndarray, of: np.ndarray) -> float:
        radii = [sorted(np.linalg.norm(of - centre, axis=1))[3] for centre in of]  # itself first
        return float(np.mean([any(np.linalg.norm(x - c) <= r for c, r in zip(of, radii, strict=True)) for x in points]))

    assert (found["precision_dinov2"], found["recall_dinov2"]) == (pytest.approx(inside(a, b)), pytest.approx(inside(b, a)))
    assert 0 < inside(a, b) + inside(b, a) < 2


def test_what_is_no_dinov2_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"bench\.dinov2 = .*none\.pth: no file(.|\n)*curl -LO"):
        DinoV2(str(tmp_path / "none.pth")).check()
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="is no such DINOv2"):
        DinoV2(str(tmp_path / "other.pth")).read(pictures(1), "cpu")
    torch.save({**drawn(), "register_tokens": torch.zeros(1, 4, 64)}, tmp_path / "reg.pth")
    with pytest.raises(UserError, match="register tokens"):
        DinoV2(str(tmp_path / "reg.pth")).read(pictures(1), "cpu")
    with pytest.raises(UserError, match="Did you mean 'pillow'"):
        Folder(dinov2_resize="pilow")
