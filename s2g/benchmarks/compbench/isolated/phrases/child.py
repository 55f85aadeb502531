"""Noun phrases of prompts by spaCy, as T2I-CompBench's evaluator takes them: child.py ITEMS VALUES SETTINGS.

Items: {"key", "prompt"}; values: {"phrases": [...], "spacy": version, "model": name and version}.
Settings: {"model": folder of en_core_web_sm, or its wheel}. Imports nothing of s2g.
"""

import json
import sys
import tempfile
import zipfile
from pathlib import Path

# Karine-Huang/T2I-CompBench at 1b70949, BLIPvqa_eval/BLIP_vqa.py: chunks that name a place, not a thing.
NAME = "en_core_web_sm"
LEFT_OUT = ("top", "the side", "the left", "the right")


def phrases_of(doc):
    """The texts of a parsed prompt's noun chunks, in order, without those that name a place."""
    return [chunk.text for chunk in doc.noun_chunks if chunk.text not in LEFT_OUT]


def model_folder(given, scratch):
    """The folder with meta.json and config.cfg in a model's folder, its installed package, or its wheel."""
    path = Path(given)
    if path.is_file():
        with zipfile.ZipFile(path) as wheel:
            wheel.extractall(scratch)
        path = Path(scratch)
    found = sorted(path.glob("**/config.cfg"), key=lambda file: len(file.parts))
    if not found:
        raise SystemExit(f"{given}: no spaCy model (no config.cfg in it)")
    return found[0].parent


def check_model(meta, version):
    """End with a word if it is not the official evaluator's model, or was made for another spaCy: phrases would be others."""
    name = f"{meta['lang']}_{meta['name']}"
    if name != NAME:
        raise SystemExit(f"{name} is not {NAME}, which the official evaluator takes: give its 3.5.0")
    if meta["version"].split(".")[:2] != version.split(".")[:2]:
        raise SystemExit(f"{name} {meta['version']} is not of spaCy {version}: take its 3.5.0")


def main(items, values, settings):
    import spacy  # before anything else, so that no items at all show whether it can be imported

    lines = [json.loads(line) for line in Path(items).read_text().splitlines()]
    if not lines:
        return
    with tempfile.TemporaryDirectory() as scratch, open(values, "a") as out:
        folder = model_folder(json.loads(Path(settings).read_text())["model"], scratch)
        meta = json.loads((folder / "meta.json").read_text())
        check_model(meta, spacy.__version__)
        nlp = spacy.load(folder)
        about = {"spacy": spacy.__version__, "model": f"{meta['lang']}_{meta['name']} {meta['version']}"}
        for item in lines:
            value = {"phrases": phrases_of(nlp(item["prompt"])), **about}
            out.write(json.dumps({"key": item["key"], "value": value}) + "\n")
            out.flush()


if __name__ == "__main__":
    main(*sys.argv[1:4])
