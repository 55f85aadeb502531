"""The script that asks Qwen3-VL: its tokens, and on a small random network against a plain forward pass in its environment."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import small_qwen3vl
from PIL import Image

from s2g.benchmarks.geneval2 import scorer
from s2g.benchmarks.geneval2.prompts import Prompt
from s2g.errors import IsolatedError, MissingError
from s2g.scoring.file_scoring import Image as Judged
from s2g.scoring.isolated.child import values_of
from s2g.scoring.isolated.environment import build

SPEC = importlib.util.spec_from_file_location("geneval2_child", scorer.environment().child)
assert SPEC is not None and SPEC.loader is not None
child = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(child)
PLAIN = """
import json, sys, torch
from transformers import AutoProcessor, Qwen3VLForConditionalGeneration
folder, image, asked = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
processor = AutoProcessor.from_pretrained(folder)
model = Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
found = []
for text, answers in asked:
    chat = [{"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": text}]}]
    how = {"tokenize": True, "add_generation_prompt": True, "return_dict": True, "return_tensors": "pt"}
    inputs = processor.apply_chat_template(chat, **how)
    with torch.no_grad():
        logits = model(**inputs).logits[0, -1].double()
    total = logits.exp().sum()
    found.append(sum(float(logits[processor.tokenizer.encode(answer)[0]].exp() / total) for answer in answers))
print(json.dumps(found))
"""


def test_the_first_token_of_each_answer_counts() -> None:
    tokenizer = SimpleNamespace(encode=lambda text: [ord(text[0]), 0])
    assert child.first_tokens(tokenizer, ["two", "Two", " two", " 2"]) == [116, 84, 32, 32]  # " 2" begins as " two" does here
    content = child.message("a.png", "Is it?")[0]["content"]
    assert [part["type"] for part in content] == ["image", "text"] and content[0]["image"] == "a.png"


def test_a_download_that_was_stopped_is_found(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(
        MissingError, match=r"bench\.weights = .*: no file preprocessor_config\.json, (.|\n)*hf download Qwen/Qwen3-VL"
    ):
        scorer.weights_folder(str(tmp_path))


@pytest.mark.external
def test_a_small_random_network_in_the_pinned_environment(tmp_path: Path) -> None:
    isolated = scorer.environment()
    build(isolated)
    folder, image = tmp_path / "weights", tmp_path / "a.png"
    python = str(isolated.interpreter)
    subprocess.run([python, "-I", small_qwen3vl.__file__, str(folder)], check=True, timeout=1800)
    assert scorer.weights_folder(str(folder)) == folder
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 48, 3), dtype=np.uint8)).save(image)
    words = [scorer.asked("Are the cats red?", "Yes"), scorer.asked("How many cats?", "two")]
    item = {"key": "a", "path": str(image), "prompt": words}
    found = values_of(isolated, [item], tmp_path / "values", {"weights": str(folder), "device": "cpu"})["a"]
    plain = subprocess.run(
        [python, "-I", "-c", PLAIN, str(folder), str(image), json.dumps(words)],
        check=True,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    expected = json.loads(plain.stdout.splitlines()[-1])
    print(f"child {[one['p'] for one in found]}, plain forward pass {expected}")
    assert [one["p"] for one in found] == pytest.approx(expected, rel=1e-4) and 0 < expected[0] != expected[1]
    judged, prompt = [Judged(0, image, "sha")], [Prompt("cats", 1, (("Are the cats red?", "Yes", "attribute"),))]
    with pytest.raises(IsolatedError, match=r"scorer geneval2: it fails on the known images(.|\n)*a blank image with"):
        scorer.answers(judged, prompt, str(folder), tmp_path / "judged", "cpu")  # random weights know no circle
