"""More captions from a few: a local language model writes new ones that name the same classes.

Each new caption is asked for with a list of classes, the lists of the captions there are, the rarest class first, and
some of these captions as examples. What comes back is kept only where it names every class that was asked for, says
something new and reads like a caption. Knows nothing of images.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, TypeAlias

from diffucurate.generator.captions.config import captions_config
from diffucurate.generator.captions.prompts import CaptionPrompt, balanced, caption_prompts
from diffucurate.generator.errors import InvalidSetting, ModelError
from diffucurate.generator.expansion.language_model import LanguageModel
from diffucurate.generator.expansion.start import check_expansion
from diffucurate.generator.expansion.written import UNFINISHED, caption_in, folded, problem
from diffucurate.generator.files.atomic import write_text
from diffucurate.generator.progress import Listener, Meter
from diffucurate.generator.text.class_mentions import find_phrases

#: A file, a list, or what a recipe says under ``captions``.
Given: TypeAlias = str | os.PathLike[str] | Sequence[str | Mapping[str, Any]] | Mapping[str, Any]

#: Tokens that are enough for a word, with room to end.
_TOKENS_PER_WORD = 2


class _Example(NamedTuple):
    """A caption that the model is shown, with the classes that it says."""

    text: str
    id: str | None
    labels: tuple[str, ...]


@dataclass
class CaptionExpansion:
    """Captions that a language model wrote.

    Attributes:
        path: the JSON file that holds them, which a recipe reads under ``captions``.
        captions: each with ``caption``, ``id``, ``model`` and ``examples``, the ids of what the model was shown.
        classes: class -> how many of them name it.
        dropped: why others were not kept -> how many.
    """

    path: Path
    captions: list[dict[str, Any]] = field(default_factory=list)
    classes: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    @property
    def remark(self) -> str:
        """What was not kept, in words; empty where all was."""
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in self.dropped.most_common())
        return f"not kept: {reasons}" if reasons else ""


def expand_captions(
    captions: Given | None,
    path: str | os.PathLike[str],
    *,
    model: str,
    classes: Mapping[str, Sequence[str]],
    count: int = 100,
    shots: int = 4,
    seed: int = 0,
    temperature: float = 1.0,
    most_words: int = 40,
    tries: int = 5,
    batch_size: int = 8,
    device: str | None = None,
    overwrite: bool = False,
    progress: Listener | None = None,
) -> CaptionExpansion:
    """Let a language model write more captions, and keep those in which every class stays named.

    Args:
        captions: what there is: a file, a list, or a mapping as recipes have it under ``captions`` (with COCO's
            ``instances``, say). None: captions are asked for by class alone, one or two classes each.
        path: the JSON file to write.
        model: a folder with a causal language model and its tokenizer, or a hub id. One with a chat template is asked,
            any other continues a list of examples.
        classes: class -> the phrases that mean it, as in the recipe that is to read the file.
        count: how many captions to keep.
        shots: how many captions the model is shown each time.
        seed: of everything that is drawn.
        temperature: of the model's sampling.
        most_words: longer captions are dropped; 40 words fit CLIP's 77 tokens.
        tries: how many captions are asked for at most, for each that is wanted.
        batch_size: captions written at once.
        device: for the model; the best one there is by default.
        overwrite: whether a file that is there may be replaced.
        progress: called after each batch.

    Returns:
        What was written. Fewer than ``count`` where the model did no better: ``dropped`` says why.

    Raises:
        InvalidSetting: captions, classes or a setting are wrong, or the file is there already or cannot be written.
        ModelError: the model cannot be loaded, or nothing that it wrote was of use.
    """
    check_expansion(
        path,
        model=model,
        classes=classes,
        overwrite=overwrite,
        count=count,
        shots=shots,
        most_words=most_words,
        tries=tries,
        batch_size=batch_size,
    )
    if not 0 < temperature <= 10:
        raise InvalidSetting("temperature", temperature, "use a number above 0 and up to 10")
    target = Path(path)
    known = _known(captions, classes)
    writer = LanguageModel(model, device)
    result = CaptionExpansion(target)
    asked = _asked(known, classes, Random(seed), shots)
    texts = {folded(prompt.source.text) for prompt in known}
    meter, left, batch = Meter(progress, count, "captions"), count * tries, 0
    while left and len(result.captions) < count:
        turn = [next(asked) for _ in range(min(batch_size, left, 2 * (count - len(result.captions))))]
        prompts = [_message(*request, classes) if writer.chats else _continued(*request, classes) for request in turn]
        answers = writer.write(
            prompts, seed=seed + batch, temperature=temperature, most_tokens=_TOKENS_PER_WORD * most_words
        )
        for (labels, examples), answer in zip(turn, answers, strict=True):
            caption = caption_in(answer.text)
            reason = problem(caption, labels, classes, texts, most_words) if answer.finished else UNFINISHED
            if reason is not None:
                result.dropped[reason] += 1
            elif len(result.captions) < count:
                texts.add(folded(caption))
                _keep(result, caption, labels, examples, model)
        left, batch = left - len(turn), batch + 1
        meter.reach(len(result.captions))
    if not result.captions:
        remedy = "use a model that follows instructions, other examples, or more tries"
        wrote = f"'{model}' wrote {result.dropped.total():,} captions"
        raise ModelError(f"{wrote} of which none is of use ({result.remark}); {remedy}")
    _write(result, {"model": model, "seed": seed, "source": _name(captions)})
    return result


def _known(captions: Given | None, classes: Mapping[str, Sequence[str]]) -> tuple[CaptionPrompt, ...]:
    if captions is None:
        return ()
    config = captions_config(os.fspath(captions) if isinstance(captions, os.PathLike) else captions)
    return caption_prompts(config, classes, every=False).prompts


def _asked(
    known: Sequence[CaptionPrompt], classes: Mapping[str, Sequence[str]], rng: Random, shots: int
) -> Iterator[tuple[tuple[str, ...], list[_Example]]]:
    """Class lists without end, each with the examples that go with it.

    The lists are those of the captions, all classes equally often; classes that no caption shows come alone.
    """
    named = [(prompt.source, tuple(find_phrases(prompt.source.text, classes))) for prompt in known]
    examples = [_Example(source.text, source.id, labels) for source, labels in named if labels]
    unknown = [label for label in classes if not any(label in prompt.source.classes for prompt in known)]
    while True:
        lists = [known[index].source.classes for index in balanced(known, rng.randrange(2**32))]
        lists += [(label,) for label in unknown]
        if not known:
            lists += [tuple(rng.sample(list(classes), 2)) for _ in classes if len(classes) > 1]
        rng.shuffle(lists)
        for labels in lists:
            yield labels, rng.sample(examples, min(shots, len(examples)))


def _names(labels: Sequence[str], classes: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(classes[label][0] for label in labels)


def _continued(labels: Sequence[str], examples: Sequence[_Example], classes: Mapping[str, Sequence[str]]) -> str:
    """A list of captions after what they show, whose last is still to be written."""
    lines = [f"{_names(example.labels, classes)}: {example.text}" for example in examples]
    return "\n".join(["Captions of photographs:", *lines, f"{_names(labels, classes)}:"])


def _message(labels: Sequence[str], examples: Sequence[_Example], classes: Mapping[str, Sequence[str]]) -> str:
    """The same as a request."""
    text = f"Write one new caption of a photograph that shows {_names(labels, classes)}. Use each of these words."
    if examples:
        text += " Write like these, but something else:\n" + "\n".join(f"- {example.text}" for example in examples)
    return f"{text}\nAnswer with the caption alone, in one sentence."


def _keep(
    result: CaptionExpansion, caption: str, labels: Sequence[str], examples: Sequence[_Example], model: str
) -> None:
    ids = [example.id for example in examples if example.id is not None]
    entry = {"caption": caption, "id": len(result.captions) + 1, "model": model, "examples": ids}
    result.captions.append({name: value for name, value in entry.items() if value != []})
    result.classes.update(labels)


def _name(captions: Given | None) -> str | None:
    if isinstance(captions, Mapping):
        return captions.get("path")
    return os.fspath(captions) if isinstance(captions, str | os.PathLike) else None


def _write(result: CaptionExpansion, about: Mapping[str, Any]) -> None:
    """All at once: a file that is there is whole."""
    text = json.dumps({**about, "captions": result.captions}, ensure_ascii=False, indent=1)
    try:
        write_text(result.path, text + "\n")
    except OSError as error:
        raise InvalidSetting("path", str(result.path), f"it cannot be written ({error.strerror or error})") from None
