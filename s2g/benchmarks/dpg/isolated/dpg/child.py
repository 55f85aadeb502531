"""mPLUG's answers to questions about an image, by modelscope's network: child.py ITEMS VALUES SETTINGS.

Items: {"key", "path", "prompt": [question, ...]}; values: [word, ...]. Settings: {"weights": folder, "device": auto, cpu or
cuda}. TencentQQGYLab/ELLA's dpg_bench calls modelscope's pipeline, which loads the code of a dozen other networks and what
they need; its steps are the same here. Imports nothing of s2g.
"""

import json
import os
import sys
from pathlib import Path

# modelscope/preprocessors/multi_modal.py (MPlugPreprocessor): CLIP's colours, and how long a question may be.
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
TOKENS = 25


def pixels_of(image, side):
    """An RGB image brought to a square by Pillow's bicubic, whatever its shape, and normalized; float32 [1, 3, side, side]."""
    import numpy as np
    import torch
    from PIL import Image

    resized = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC), dtype=np.float32) / 255
    normalized = (resized - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return torch.from_numpy(normalized).permute(2, 0, 1).unsqueeze(0).contiguous()


def main(items, values, settings):
    knobs = json.loads(Path(settings).read_text())
    if knobs.get("device") == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # its generator takes a GPU wherever it sees one
    import modelscope
    import torch  # before anything else, so that no items at all show whether it can be imported
    import transformers
    from modelscope.models.multi_modal.mplug import MPlug
    from modelscope.utils.constant import Tasks
    from PIL import Image

    lines = [json.loads(line) for line in Path(items).read_text().splitlines()]
    if not lines:
        return
    device = knobs["device"] if knobs["device"] != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    network = MPlug.from_pretrained(knobs["weights"], task=Tasks.visual_question_answering).to(device).eval()
    tokenizer = transformers.BertTokenizer.from_pretrained(knobs["weights"])
    print(
        f"modelscope {modelscope.__version__}, torch {torch.__version__}, transformers {transformers.__version__}", flush=True
    )
    how = {"padding": "max_length", "truncation": True, "max_length": TOKENS, "return_tensors": "pt"}
    with open(values, "a") as out, torch.no_grad():
        for item in lines:
            with Image.open(item["path"]) as opened:
                image = pixels_of(opened.convert("RGB"), network.config.image_res).to(device)
            said = []
            for question in item["prompt"]:
                best, _ = network(image, tokenizer(question.lower(), **how).to(device), train=False)
                said.append(tokenizer.decode(best[0][0], skip_special_tokens=True))
            out.write(json.dumps({"key": item["key"], "value": said}) + "\n")
            out.flush()


if __name__ == "__main__":
    main(*sys.argv[1:4])
