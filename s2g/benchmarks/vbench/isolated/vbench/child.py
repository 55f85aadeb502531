"""The official vbench package, a dimension at a time, as its own command does it. Imports nothing of s2g.

Items: {"key", "dimension", "videos": flat folder of PROMPT-NUMBER.mp4, "info": VBench_full_info.json, "output": folder,
"weights": the package's cache}; values: what the package writes for the dimension, [value, [per-video records]].
Temporal flickering is of videos that stand still: the package's static filter goes first, and its renumbered copies get
their own numbers back.
"""

import argparse
import json
import os
import sys
from pathlib import Path

items, values, settings = sys.argv[1:]
lines = [json.loads(line) for line in Path(items).read_text().splitlines()]
if lines:  # read while the package is imported
    os.environ["VBENCH_CACHE_DIR"] = lines[0]["weights"]
    os.environ["TORCH_HOME"] = str(Path(lines[0]["weights"]) / "torch")
    os.environ["HF_HOME"] = str(Path(lines[0]["weights"]) / "huggingface")

import torch
from vbench import VBench

NAME = "s2g"


def standing_still(item):
    """The folder of videos that the static filter keeps, and by the name it gave each the name it had."""
    from vbench.cli.static_filter import static_filter

    place = Path(item["output"]) / "static"
    static_filter(
        argparse.Namespace(
            model=str(Path(item["weights"]) / "raft_model" / "models" / "raft-things.pth"),
            videos_path=item["videos"],
            result_path=str(place),
            store_name="static.json",
            small=False,
            mixed_precision=False,
            alternate_corr=False,
            filter_scope="temporal_flickering",
        )
    )
    kept = json.loads((place / "static.json").read_text())
    own = {f"{prompt}-{at}.mp4": Path(path).name for prompt, of in kept.items() for at, path in enumerate(of["static_path"])}
    return place / "filtered_videos", own


def scored(item):
    """The package's result of one dimension; None where it leaves every video out (all move; no object is found)."""
    dimension, own, folder = item["dimension"], {}, Path(item["videos"])
    if dimension == "temporal_flickering":
        folder, own = standing_still(item)
        if not own:
            return None
    bench = VBench(torch.device("cuda"), item["info"], item["output"])
    try:
        bench.evaluate(videos_path=str(folder), name=NAME, dimension_list=[dimension], local=True, mode="vbench_standard")
    except ZeroDivisionError:
        if dimension != "color":
            raise
        return None
    found = json.loads((Path(item["output"]) / f"{NAME}_eval_results.json").read_text())[dimension]
    for record in found[1]:
        name = Path(record["video_path"]).name
        record["video_path"] = own.get(name, name)
    return found


if lines:
    if not torch.cuda.is_available():
        sys.exit("torch sees no CUDA device")
    print(f"torch {torch.__version__}, {torch.cuda.get_device_name(0)}", flush=True)
with open(values, "a") as out:
    for item in lines:
        out.write(json.dumps({"key": item["key"], "value": scored(item)}) + "\n")
        out.flush()
