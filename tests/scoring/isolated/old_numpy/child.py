"""A scorer for tests: the mean of an item's numbers by an old numpy; slow, failing, hanging where the settings say so."""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

items, values, settings = sys.argv[1:]
settings = json.loads(Path(settings).read_text())
with open(values, "a") as stream:
    for line in Path(items).read_text().splitlines():
        item = json.loads(line)
        if item["key"] == settings.get("fail_at"):
            print("about to divide")
            raise ZeroDivisionError("what went wrong inside")
        if item["key"] == settings.get("hang_at"):
            print("about to hang", flush=True)
            time.sleep(600)
        time.sleep(settings.get("seconds", 0))
        value = {"mean": float(np.mean(item["numbers"])), "numpy": np.__version__, "pid": os.getpid()}
        if settings.get("look"):
            value |= {"variables": dict(os.environ), "home": os.listdir(os.path.expanduser("~")), "path": sys.path}
        stream.write(json.dumps({"key": item["key"], "value": value}) + "\n")
        stream.flush()
