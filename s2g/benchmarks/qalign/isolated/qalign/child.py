"""Q-Align's score of images on its scale of 1 to 5: child.py ITEMS VALUES SETTINGS.

Items: {"key", "path"}; values: a number. Settings: {"weights": folder of one-align, "prompt": text with <|image|> in it,
"device": auto, cpu or cuda}. The folder's own code is run (it is how the model is published), and no network is reached.
Imports nothing of s2g.
"""

import json
import math
import sys
from pathlib import Path

# Q-Future/Q-Align at 37cf54c (scorer.py): five words, best first, and what each is worth on the scale of 1 to 5.
WORDS = ("excellent", "good", "fair", "poor", "bad")
WORTH = (5.0, 4.0, 3.0, 2.0, 1.0)
IMAGE, IMAGE_TOKEN = "<|image|>", -200


def score_of(logits):
    """The mean worth of the five words under the softmax of their five logits."""
    top = max(logits)
    weights = [math.exp(logit - top) for logit in logits]
    return sum(weight * worth for weight, worth in zip(weights, WORTH, strict=True)) / sum(weights)


def tokens_of(tokenizer, prompt):
    """The prompt's ids with one mark where the image goes; its second part without a beginning of its own."""
    before, after = (list(tokenizer(part).input_ids) for part in prompt.split(IMAGE))
    return [*before, IMAGE_TOKEN, *after[1 if after[0] == tokenizer.bos_token_id else 0 :]]


def words_of(tokenizer):
    """The first token of each of the five words."""
    return [tokenizer(word).input_ids[1] for word in WORDS]


def squared(image, colour):
    """An image in the middle of a square of a colour; Pillow's image."""
    from PIL import Image

    side = max(image.size)
    square = Image.new("RGB", (side, side), colour)
    square.paste(image, tuple((side - length) // 2 for length in image.size))
    return square


def main(items, values, settings):
    import torch  # before anything else, so that no items at all show whether it can be imported
    from PIL import Image
    from transformers import AutoModelForCausalLM, AutoTokenizer, CLIPImageProcessor

    lines = [json.loads(line) for line in Path(items).read_text().splitlines()]
    if not lines:
        return
    knobs = json.loads(Path(settings).read_text())
    device = knobs["device"] if knobs["device"] != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    folder, dtype = knobs["weights"], torch.float16 if device != "cpu" else torch.float32
    tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=False)
    processor = CLIPImageProcessor.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, torch_dtype=dtype).to(device).eval()
    colour = tuple(int(value * 255) for value in processor.image_mean)
    ids, words = torch.tensor([tokens_of(tokenizer, knobs["prompt"])], device=device), words_of(tokenizer)
    with open(values, "a") as out, torch.inference_mode():
        for item in lines:
            with Image.open(item["path"]) as opened:
                image = squared(opened.convert("RGB"), colour)
            seen = processor.preprocess(image, return_tensors="pt")["pixel_values"].to(device, dtype)
            logits = model(ids, images=seen)["logits"][0, -1, words].float().tolist()
            out.write(json.dumps({"key": item["key"], "value": score_of(logits)}) + "\n")
            out.flush()


if __name__ == "__main__":
    main(*sys.argv[1:4])
