"""Probabilities of given answers to questions about an image, by Qwen3-VL: child.py ITEMS VALUES SETTINGS.

Items: {"key", "path", "prompt": [[text, [answer, ...]], ...]}; values: [{"p": probability of the answers, "said": the likeliest
token}, ...], one per text. Settings: {"weights": folder, "device": auto, cpu or cuda}. As facebookresearch/GenEval2 at a6e82d2
has it (evaluation.py): one greedy token, the first token of each answer, one question at a time. Imports nothing of s2g.
"""

import json
import sys
from pathlib import Path


def first_tokens(tokenizer, answers):
    """The first token of each answer; the same one twice if two answers begin alike, as in the official sum."""
    return [tokenizer.encode(answer)[0] for answer in answers]


def message(path, text):
    """The chat of one image and one text."""
    return [{"role": "user", "content": [{"type": "image", "image": path}, {"type": "text", "text": text}]}]


def main(items, values, settings):
    import torch  # before anything else, so that no items at all show whether it can be imported
    import transformers
    from transformers import AutoProcessor, Qwen3VLForConditionalGeneration

    lines = [json.loads(line) for line in Path(items).read_text().splitlines()]
    if not lines:
        return
    knobs = json.loads(Path(settings).read_text())
    device = knobs["device"] if knobs["device"] != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    processor = AutoProcessor.from_pretrained(knobs["weights"])
    model = Qwen3VLForConditionalGeneration.from_pretrained(knobs["weights"], dtype="auto").to(device).eval()
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, {device}, {model.dtype}", flush=True)
    with open(values, "a") as out, torch.inference_mode():
        for item in lines:
            found = []
            for text, answers in item["prompt"]:
                inputs = processor.apply_chat_template(
                    message(item["path"], text),
                    tokenize=True,
                    add_generation_prompt=True,
                    return_dict=True,
                    return_tensors="pt",
                ).to(device)
                step = model.generate(
                    **inputs, max_new_tokens=1, do_sample=False, output_scores=True, return_dict_in_generate=True
                )
                shares = torch.softmax(step.scores[0][0].float(), dim=-1)
                total = sum(shares[token].item() for token in first_tokens(processor.tokenizer, answers))
                found.append({"p": total, "said": processor.tokenizer.decode([int(shares.argmax())])})
            out.write(json.dumps({"key": item["key"], "value": found}) + "\n")
            out.flush()


if __name__ == "__main__":
    main(*sys.argv[1:4])
