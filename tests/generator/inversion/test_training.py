"""Words learned from images: what is learned, what is left alone, going on where a run stopped, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file
from untrained import untrained_pipeline, untrained_sd3, untrained_xl

from diffucurate.generator.errors import ImageError, InvalidSetting, ModelError
from diffucurate.generator.inversion.examples import Example, prepare
from diffucurate.generator.inversion.files import WordFiles, word_name
from diffucurate.generator.inversion.loss_plot import SIZE, loss_figure, loss_plot, recent_loss
from diffucurate.generator.inversion.settings import Inversion
from diffucurate.generator.inversion.training import learn_word
from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.models.adapters import adapted
from diffucurate.generator.painting.painter import paint
from diffucurate.generator.recipe.model_options import Lora, ModelOptions, TextualInversion
from diffucurate.generator.text.class_mentions import find_phrases
from diffucurate.generator.tiny.scenes import Scene, render_scene

WORD = "<piano>"
SIDE = 64


@pytest.fixture(scope="module")
def pianos() -> list[Scene]:
    return [render_scene(700 + seed, size=(SIDE, SIDE), labels=["piano"]) for seed in range(3)]


@pytest.fixture
def examples(pianos: list[Scene]) -> list[Example]:
    return [Example(scene.image, scene.objects[0].mask, "a {} on a road") for scene in pianos]


@pytest.fixture
def make(tokenizer: Any) -> Callable[..., Any]:
    """A small pipeline for 64 px images."""

    def make(**options: Any) -> Any:
        return untrained_pipeline(deepcopy(tokenizer), channels=(16, 32), width=16, side=SIDE, **options)

    return make


def settings(**options: Any) -> Inversion:
    values = {"steps": 4, "batch_size": 2, "checkpoint_every": 2, "preview_every": 0, "learning_rate": 0.05}
    return Inversion(**{"placeholder": WORD, **values, **options})


def weights(pipe: Any) -> dict[str, torch.Tensor]:
    parts = {name: part for name, part in pipe.components.items() if isinstance(part, torch.nn.Module)}
    return {f"{name}.{key}": value.clone() for name, part in parts.items() for key, value in part.state_dict().items()}


def painted(pipe: Any, setup: ModelOptions) -> Any:
    prompt = f"a {WORD} on a road"
    job = Job.of(
        task="txt2img",
        prompt=prompt,
        negative_prompt="",
        phrases=find_phrases(prompt, {"piano": [WORD]}),
        attributes={},
        seed=5,
        size=(SIDE, SIDE),
        steps=2,
        guidance=1.0,
        model="tiny",
        model_options=setup,
    )
    (painting,) = paint([job], pipe=pipe)
    return painting


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_only_the_new_vectors_change(
    make: Callable[..., Any], examples: list[Example], tmp_path: Path, prediction: str
) -> None:
    """The loss falls for what is learned, and the pipeline is as it was, down to who has gradients."""
    pipe = make(prediction=prediction)
    before, vocabulary = weights(pipe), len(pipe.tokenizer)
    files = WordFiles.of("piano", tmp_path)
    learned = learn_word(pipe, examples, settings(vectors=3, schedule="constant"), files)
    after = weights(pipe)
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)
    assert len(pipe.tokenizer) == vocabulary
    assert all(parameter.requires_grad and parameter.grad is None for parameter in pipe.unet.parameters())
    ((name, vectors),) = load_file(learned.path).items()
    assert name == WORD and vectors.shape == (3, 16) and vectors.dtype == torch.float32
    assert len(learned.losses) == 4 and np.isfinite(learned.losses).all()

    start = learn_word(
        pipe, examples, settings(vectors=3, steps=1, learning_rate=1e-9), WordFiles.of("start", tmp_path)
    )
    moved = (vectors - load_file(start.path)[WORD]).abs()
    assert (moved.amax(dim=1) > 0.01).all(), "every vector is learned"

    # As recipes load it: the word is painted, and traced as a class.
    painting = painted(pipe, ModelOptions(tokens=(TextualInversion(path=str(learned.path), placeholder=WORD),)))
    assert "piano" in painting.heatmaps


def test_both_encoders_of_xl(tokenizer: Any, examples: list[Example], tmp_path: Path) -> None:
    pipe = untrained_xl(deepcopy(tokenizer), deepcopy(tokenizer))
    before = weights(pipe)
    learned = learn_word(pipe, examples, settings(vectors=2, initializer="bus"), WordFiles.of("piano", tmp_path))
    vectors = load_file(learned.path)
    assert {name: tuple(value.shape) for name, value in vectors.items()} == {"clip_l": (2, 24), "clip_g": (2, 40)}
    for (name, value), encoder in zip(vectors.items(), (pipe.text_encoder_2, pipe.text_encoder), strict=True):
        bus = encoder.get_input_embeddings().weight[tokenizer("bus", add_special_tokens=False).input_ids[0]]
        assert 0.01 < (value[0] - bus).abs().max() < 0.5, f"{name} starts from the word and moves"
    assert all(torch.equal(value, before[key]) for key, value in weights(pipe).items())
    with adapted(pipe, ModelOptions(tokens=(TextualInversion(path=str(learned.path), placeholder=WORD),))):
        assert f"{WORD}_1" in pipe.tokenizer_2.get_vocab()


@pytest.mark.parametrize("lora", [None, {"rank": 2, "layers": "text", "learning_rate": 0.01}])
def test_a_stopped_run_goes_on(
    make: Callable[..., Any], examples: list[Example], tmp_path: Path, lora: dict[str, Any] | None
) -> None:
    """Stopped between two checkpoints, its word is that of a run that never stopped."""
    pipe, how = make(), settings(steps=4, lora=lora)
    whole = learn_word(pipe, examples, how, WordFiles.of("whole", tmp_path))

    def stop(report: Any) -> None:
        if report.done == 3:
            raise KeyboardInterrupt

    files = WordFiles.of("stopped", tmp_path)
    with pytest.raises(KeyboardInterrupt):
        learn_word(pipe, examples, how, files, progress=stop)
    assert not files.word.exists() and len(files.read_losses()) == 3
    told: list[Any] = []
    learned = learn_word(pipe, examples, how, files, progress=told.append)
    assert [report.done for report in told] == [4] and told[-1].note.startswith("step 4: loss ")
    assert learned.losses == pytest.approx(whole.losses, abs=1e-5)
    for path, other in ((learned.path, whole.path), (learned.lora, whole.lora)):
        if path is not None:
            ours, theirs = load_file(path), load_file(other)
            assert ours.keys() == theirs.keys() and all(torch.allclose(ours[k], theirs[k], atol=1e-5) for k in ours)


def test_a_word_that_is_there(make: Callable[..., Any], examples: list[Example], tmp_path: Path) -> None:
    """It is taught further with more steps, and replaced only when that is asked for."""
    pipe, how, files = make(), settings(steps=2), WordFiles.of("piano", tmp_path)
    learn_word(pipe, examples, how, files)
    with pytest.raises(InvalidSetting, match="learned in 2 steps already; ask for more"):
        learn_word(pipe, examples, how, files)
    for other, those in ((settings(steps=9, seed=1), examples), (how, examples[::-1])):
        with pytest.raises(InvalidSetting, match="learned with other settings or examples"):
            learn_word(pipe, those, other, files)
    assert len(learn_word(pipe, examples, settings(steps=3), files).losses) == 3
    assert len(learn_word(pipe, examples, settings(steps=1, seed=1), files, overwrite=True).losses) == 1


def test_low_rank_changes_are_files_for_recipes(
    make: Callable[..., Any], examples: list[Example], tmp_path: Path
) -> None:
    pipe = make()
    how = settings(lora={"rank": 1, "layers": "all", "learning_rate": 0.5}, steps=2, preview_every=3, previews=1)
    learned = learn_word(pipe, examples, how, WordFiles.of("piano", tmp_path))
    assert learned.lora is not None and "lora" not in str(pipe.unet.state_dict().keys())
    parts = learned.recipe_parts()
    word, changes = TextualInversion(**parts["tokens"][0]), Lora(**parts["loras"][0])
    with_changes, without = (
        painted(pipe, ModelOptions(tokens=(word,), loras=(changes,))),
        painted(pipe, ModelOptions(tokens=(word,))),
    )
    assert not np.array_equal(with_changes.image, without.image)

    assert sorted(path.name for path in learned.previews) == ["000002-0.png"]
    assert Image.open(learned.previews[0]).size == (SIDE, SIDE) and Image.open(learned.plot).size == SIZE
    lines = [json.loads(line) for line in (tmp_path / "piano" / "loss.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert sorted(path.name for path in (tmp_path / "piano").iterdir()) == [
        "checkpoint.safetensors",
        "loss.jsonl",
        "loss.png",
        "piano-lora.safetensors",
        "piano.safetensors",
        "previews",
    ]


def test_views_of_an_example(make: Callable[..., Any], pianos: list[Scene]) -> None:
    """A wide image is cut around its middle; mirror images and crops come beside it, each with its own weights."""
    wide = np.concatenate([pianos[0].image] * 2, axis=1)
    mask = np.zeros(wide.shape[:2], np.bool_)
    mask[:, SIDE // 2 : SIDE] = True  # the left half of what is cut out
    prepared = prepare(make(), [Example(wide, mask, "a {}")], settings(crops=1, outside=0.25), (SIDE, SIDE))
    assert len(prepared) == 4 and prepared.captions == (("a {}",),) * 4
    assert prepared.boxes[0].tolist() == [SIDE, 2 * SIDE, 0, SIDE // 2, SIDE, SIDE]
    weights = prepared.weights[:, 0]
    assert weights[0, :, 0].eq(1).all() and weights[0, :, -1].eq(0.25).all()
    assert torch.equal(weights[1], weights[0].flip(1))
    alone = prepare(make(), [Example(wide)], settings(flip=False), (SIDE, SIDE))
    assert len(alone) == 1 and alone.weights.eq(1).all() and len(alone.captions[0]) > 1


@pytest.mark.parametrize(
    ("options", "field", "said"),
    [
        ({"placeholder": "car"}, "placeholder", "the model's tokenizer has this word already"),
        ({"placeholder": "a piano"}, "placeholder", "a placeholder is one word"),
        ({"vectors": 0}, "vectors", "it must be from 1 to 32"),
        ({"captions": "a piano"}, "captions", "write 'thing', 'style' or texts with one {}"),
        ({"lora": {"rank": 0}}, "lora.rank", "it must be"),
        ({"learning_rat": 1.0}, "learning_rat", "did you mean 'learning_rate'?"),
        ({"initializer": " "}, "initializer", "finds no word in it"),
        (
            {"vectors": 32, "captions": "a photo of a picture of a view of a {}"},
            "captions",
            "it has 44 tokens, the model reads 40;",
        ),
    ],
)
def test_settings_that_are_refused(
    make: Callable[..., Any], examples: list[Example], tmp_path: Path, options: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises(InvalidSetting) as raised:
        learn_word(make(), [Example(one.image) for one in examples], settings(**options), WordFiles.of("it", tmp_path))
    assert raised.value.field == field and said in str(raised.value)
    assert not any(tmp_path.iterdir())


def test_what_cannot_be_learned_from(
    make: Callable[..., Any], tokenizer: Any, examples: list[Example], tmp_path: Path
) -> None:
    files, empty = WordFiles.of("piano", tmp_path), np.zeros((SIDE, SIDE), np.bool_)
    for few, said in (
        (examples[:2], "from 3 to 50 examples, 2 were given"),
        (examples * 17, "51 were given"),
        ([*examples[:2], Example(examples[0].image[..., 0])], "example 2 is uint8"),
        ([*examples[:2], Example(examples[0].image, empty)], "the mask of example 2 is empty"),
    ):
        with pytest.raises(ImageError, match=said):
            learn_word(make(), few, settings(), files)
    with pytest.raises(ModelError, match="StableDiffusion3Pipeline learns no words"):
        learn_word(untrained_sd3(tokenizer), examples, settings(), files)
    lost = make()
    lost.unet.conv_in.weight.data.fill_(float("nan"))
    with pytest.raises(ModelError, match="ran away at step 1; lower its learning_rate"):
        learn_word(lost, examples, settings(), files)
    assert not files.checkpoint.exists()
    with pytest.raises(InvalidSetting, match="use letters"):
        WordFiles.of("../piano", tmp_path)
    assert word_name("<my piano>") == "mypiano" and word_name("<>") == "word"


def test_the_plot_shows_the_curve() -> None:
    def blue(image: NDArray[np.uint8]) -> NDArray[np.intp]:
        """Rows and columns of the pixels in the colour of the running mean, at most slightly blended."""
        return np.argwhere((abs(image.astype(int) - (11, 99, 196)) < 40).all(axis=2))

    falling, one_step = loss_plot(list(np.linspace(1, 0, 50))), loss_plot([1.0])
    assert falling.shape == (SIZE[1], SIZE[0], 3) and falling.dtype == np.uint8
    rows, columns = blue(falling).T
    assert rows[columns < 160].mean() < SIZE[1] / 3 and rows[columns > 560].mean() > SIZE[1] / 2
    assert not len(blue(one_step)) and loss_plot([]).shape == falling.shape


def test_the_plot_s_lines_are_the_losses_and_their_mean_over_the_tenth_before() -> None:
    """By hand: of 20 steps a tenth is 2, so the mean takes a step and the one before it."""
    losses = [0.0, 3.0, 6.0, 3.0] * 5
    axes = loss_figure(losses).axes[0]
    each, mean = axes.lines
    assert list(each.get_xdata()) == list(range(1, 21)) and list(each.get_ydata()) == losses
    assert list(mean.get_ydata()[:5]) == [0.0, 1.5, 4.5, 4.5, 1.5]
    assert mean.get_ydata()[-1] == recent_loss(losses) == 4.5


def test_one_outlier_does_not_flatten_the_plot() -> None:
    low, high = loss_figure([*np.linspace(1, 0, 500), 1000.0]).axes[0].get_ylim()
    assert -0.2 < low < 0 and 1 < high < 1.2
