"""The command ``diffucurate``: arguments become calls of the library, results become text or JSON.

A module per command. None knows how anything is done: FiftyOne and torch are imported inside the commands only, so
that help and a wrong recipe answer at once.
"""

# In the order in which help lists them.
from diffucurate.plugin.cli import generate, expand_captions, from_images, augment, mask2img, label  # isort: skip
from diffucurate.plugin.cli import learn_token, train_token, compare, evaluate, review, fuse, assess  # isort: skip
from diffucurate.plugin.cli import curate, mosaic, export, report  # isort: skip
from diffucurate.plugin.cli import train_segmenter, train_adapter, generate_more, provenance, regenerate  # isort: skip
from diffucurate.plugin.cli import demo, demo_rare, doctor  # isort: skip
from diffucurate.plugin.cli.running import main, run

__all__ = [
    "assess",
    "augment",
    "compare",
    "curate",
    "demo",
    "demo_rare",
    "doctor",
    "evaluate",
    "expand_captions",
    "export",
    "from_images",
    "fuse",
    "generate",
    "generate_more",
    "label",
    "learn_token",
    "main",
    "mask2img",
    "mosaic",
    "provenance",
    "regenerate",
    "report",
    "review",
    "run",
    "train_adapter",
    "train_segmenter",
    "train_token",
]
