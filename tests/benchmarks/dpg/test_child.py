"""The script that asks mPLUG: its pixels, and on a small random network in its environment against modelscope's own steps."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import small_mplug
import torch
from PIL import Image

from s2g.benchmarks.dpg import scorer
from s2g.benchmarks.dpg.questions import Asked, Prompt
from s2g.errors import IsolatedError, MissingError
from s2g.scoring.file_scoring import Image as Judged
from s2g.scoring.isolated.child import values_of
from s2g.scoring.isolated.environment import build

SPEC = importlib.util.spec_from_file_location("dpg_child", scorer.environment().child)
assert SPEC is not None and SPEC.loader is not None
child = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(child)
PLAIN = """
import json, sys, torch
from PIL import Image
from modelscope.models.multi_modal.mplug import MPlug
from torchvision import transforms
folder, asked, *images = sys.argv[1:]
network = MPlug.from_pretrained(folder, task="visual-question-answering").eval()
mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
resize = transforms.Resize((32, 32), interpolation=transforms.InterpolationMode.BICUBIC)
steps = transforms.Compose([resize, transforms.ToTensor(), transforms.Normalize(mean, std)])
found = []
for image in images:
    seen, words = steps(Image.open(image).convert("RGB"))[None], []
    for question in json.loads(asked):
        tokens = network.tokenizer(question.lower(), padding="max_length", truncation=True, max_length=25, return_tensors="pt")
        with torch.no_grad():
            ids, _ = network(seen, tokens, train=False)
        words.append(network.tokenizer.decode(ids[0][0], skip_special_tokens=True))
    found.append(words)
print(json.dumps(found))
"""


def test_pixels_are_those_of_torchvisions_steps() -> None:
    from torchvision import transforms

    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 70, 3), dtype=np.uint8))
    resize = transforms.Resize((24, 24), interpolation=transforms.InterpolationMode.BICUBIC)
    steps = transforms.Compose([resize, transforms.ToTensor(), transforms.Normalize(child.MEAN, child.STD)])
    assert torch.allclose(child.pixels_of(image, 24)[0], torch.as_tensor(steps(image)), atol=1e-6)


def test_weights_are_found_whole_or_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path))
    with pytest.raises(
        MissingError, match=r"bench\.weights = damo/mplug.*nor in modelscope's cache(.|\n)*modelscope download --m"
    ):
        scorer.weights_folder(scorer.OFFICIAL)
    (folder := tmp_path / "models" / scorer.OFFICIAL).mkdir(parents=True)
    for name in scorer.FILES[:-1]:
        (folder / name).write_text("")
    with pytest.raises(MissingError, match=r"no file pytorch_model\.bin in "):
        scorer.weights_folder(scorer.OFFICIAL)
    (folder / "pytorch_model.bin").write_bytes(b"1")
    assert scorer.weights_folder(scorer.OFFICIAL) == folder and scorer.doubts(scorer.OFFICIAL) == []
    before = scorer.identity(scorer.OFFICIAL)
    (folder / "vocab.txt").write_text("yes")
    assert scorer.identity(scorer.OFFICIAL) != before and scorer.doubts(str(folder))


@pytest.mark.external
def test_a_small_random_network_in_the_pinned_environment(tmp_path: Path) -> None:
    isolated = scorer.environment()
    build(isolated)
    folder = tmp_path / "weights"
    python = str(isolated.interpreter)
    subprocess.run([python, "-I", small_mplug.__file__, str(folder)], check=True, timeout=1800)
    assert scorer.weights_folder(str(folder)) == folder
    asked = ["Is there a red circle?", "Is there a blue square?", "Is a circle blue?"]
    files = [tmp_path / f"{number}.png" for number in range(3)]
    for number, file in enumerate(files):
        Image.fromarray(np.random.default_rng(number).integers(0, 255, (64, 48, 3), dtype=np.uint8)).save(file)
    items = [{"key": file.name, "path": str(file), "prompt": asked} for file in files]
    found = values_of(isolated, items, tmp_path / "values", {"weights": str(folder), "device": "cpu"})
    plain = [python, "-I", "-c", PLAIN, str(folder), json.dumps(asked), *map(str, files)]
    said = json.loads(subprocess.run(plain, check=True, capture_output=True, text=True, timeout=1800).stdout.splitlines()[-1])
    print(f"child {found}, modelscope's steps {said}")
    assert [found[file.name] for file in files] == said
    assert len({word for words in said for word in words}) > 3  # what is said depends on image and question
    image = files[0]
    judged, prompt = [Judged(0, image, "sha")], [Prompt("one", "a cat", (Asked(1, "Is there a red circle?", (), "entity"),))]
    with pytest.raises(IsolatedError, match=r"scorer dpg: it fails on the known images(.|\n)*a blank image with"):
        scorer.answers(judged, prompt, str(folder), tmp_path / "judged", "cpu")  # random weights know no circle
