"""A scorer for tests: how many pieces a WordPiece tokenizer of an old transformers makes of an item's prompt."""

import json
import sys
from pathlib import Path

import numpy
import transformers
from transformers import BertTokenizer

items, values, settings = sys.argv[1:]
tokenizer = BertTokenizer(json.loads(Path(settings).read_text())["vocabulary"]) if Path(items).stat().st_size else None
with open(values, "a") as stream:
    for line in Path(items).read_text().splitlines():
        item = json.loads(line)
        value = [len(tokenizer.tokenize(item["prompt"])), transformers.__version__, numpy.__version__]
        stream.write(json.dumps({"key": item["key"], "value": value}) + "\n")
        stream.flush()
