"""The trace: a context manager that reads the attention of pixels to words while a pipeline paints.

``families`` holds what differs between models. Each call of the model is a pass, in which the watched layers' queries
and keys are added up for the rows of the images that are painted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diffucurate.generator.attention.capture.encoders import Encoders, mentions
from diffucurate.generator.attention.capture.maps import AttentionAccumulator
from diffucurate.generator.attention.capture.rescaling import stretched
from diffucurate.generator.attention.capture.tokens import PromptTokens
from diffucurate.generator.attention.families import Pass, family_of, same_context
from diffucurate.generator.attention.families.presets import preset_of
from diffucurate.generator.attention.settings import BUILT_IN, QuerySettings, TraceSettings
from diffucurate.generator.attention.trace.attribution import Attribution, Keys, attributable
from diffucurate.generator.attention.trace.layer_readers import LayerReaders
from diffucurate.generator.attention.trace.pass_choice import PassChoice
from diffucurate.generator.attention.trace.queries import StoredQueries
from diffucurate.generator.attention.trace.query_keeper import QueryKeeper
from diffucurate.generator.errors import InvalidSetting, ModelError

Phrases = Mapping[str, Sequence[str]]


class AttentionTrace:
    """Traces one run of a pipeline, or direct calls of its model on one batch.

    >>> with AttentionTrace(pipe, {"car": ["car", "sedan"]}) as trace:
    ...     images = pipe(["a red car", "two sedans at night"]).images
    >>> heatmaps = trace.maps()  # one {"car": (h, w) float32} per image

    Images come out as they would without the trace. Where guidance doubles the batch, only its conditional
    half is read.

    Args:
        pipe: a pipeline with a ``unet`` or ``transformer`` of a family that can be traced (``attention.families``),
            its tokenizers and, unless ``prompts`` are given, its text encoders.
        phrases: class -> the phrases that mean it, one mapping for all prompts or one per prompt. A class that a
            prompt does not mention gets no map for it. None where an ``attribution`` names the classes.
        prompts: the prompts, where the pipeline does not encode them itself within the trace (embeddings
            made before, direct calls of the model). By default they are read where the text encoders get them.
        ids: in place of prompts, their token ids for each of the pipeline's tokenizers, where embeddings were made
            of several contexts one after the other (``prompt_weights.weighted``).
        settings: what is read, and how it is combined. By default what suits the model (``families.presets``), and
            ``BUILT_IN`` where queries are kept or tokens compete, for which nothing else is known.
        attribution: what the pixels are attributed to in place of the prompts' words: another text, any words,
            learned tokens. Which prompts are painted need not be known then.
        keep: which of the pixels' queries are kept for ``queries``, to attribute them to any text afterwards.

    Raises:
        ModelError: a model of another kind, or one whose pixels no other text than the prompt can be attributed to.
        InvalidSetting: both phrases and an attribution.
    """

    def __init__(
        self,
        pipe: Any,
        phrases: Phrases | Sequence[Phrases] | None = None,
        *,
        prompts: str | Sequence[str] | None = None,
        ids: Sequence[list[list[int]]] | None = None,
        settings: TraceSettings | None = None,
        attribution: Attribution | None = None,
        keep: QuerySettings | None = None,
    ) -> None:
        if phrases and attribution is not None:
            raise InvalidSetting("phrases", phrases, "an attribution names its own classes; give one of the two")
        self._pipe, self._phrases, self._attribution = pipe, phrases, attribution
        self._family = family_of(pipe) if attribution is None and keep is None else attributable(pipe)
        self._keeper = None if keep is None else QueryKeeper(self._family, keep)
        #: The settings with what they leave to the model's family filled in.
        self.settings = self._family.filled(self._chosen(settings))
        self._encoders = Encoders(self._family.parts(), [prompts] if isinstance(prompts, str) else prompts, ids)
        self._readers = LayerReaders(self._family, self.settings, self._keeper)
        self._choice = PassChoice(pipe.scheduler, self._family.schedule, self.settings)
        self._saved: dict[str, Any] = {}
        self._handle: Any = None
        self._context: Any = None  # of the first pass
        self._passes = self._counted = self._images = self._encoded = 0
        self._absent: list[tuple[str, ...]] = []

    def __enter__(self) -> AttentionTrace:
        model = self._family.model
        self._saved = self._family.processors()
        watched = self._readers.processors(self._saved)
        self._handle = model.register_forward_pre_hook(self._begin_pass, with_kwargs=True)
        self._encoders.listen()
        self._family.set_processors({**self._saved, **watched})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._handle.remove()
        self._encoders.release()
        self._family.set_processors(self._saved)
        if kind is not None and kind.__module__ == "torch._dynamo.exc":
            raise ModelError(
                "torch.compile could not compile the model with its attention traced; compile it without "
                "fullgraph=True, or not at all"
            ) from error

    def maps(self) -> list[dict[str, NDArray[np.float32]]]:
        """One mapping class -> raw map per image, in the order of the pipeline's images.

        Maps are (h, w) float32 >= 0 of the size of the finest attention that was read, or of the self-attention that
        refined them. An image whose prompt mentions no class has an empty mapping.

        Raises:
            ModelError: nothing was traced, or nothing of what the settings ask for.
        """
        sums, refinement = self._readers.sums, self._readers.refinement
        if sums is None:
            raise ModelError("nothing was traced: call the pipeline inside the trace's `with` block")
        if sums.wanted and sums.empty:
            raise ModelError(
                f"none of the {self._passes} passes through the model had attention that the settings ask for "
                f"({self.settings}); widen them"
            )
        weights = self._readers.weights
        maps = sums.combine(self._counted, None if weights is None else weights.of(sums.layers))
        if refinement is None or not sums.wanted:
            return maps
        if refinement.empty and self.settings.refine_at is not None:
            raise ModelError(
                f"the model's {'/'.join(self.settings.blocks)} blocks have no self-attention "
                f"{self.settings.refine_at} times coarser than the latent; use another trace.refine_at"
            )
        refined = self.refined(maps)
        return [_stretched(classes) for classes in refined] if self.settings.rescale else refined

    def refined(self, maps: Sequence[Mapping[str, NDArray[np.float32]]]) -> list[dict[str, NDArray[np.float32]]]:
        """Maps of any origin, one mapping class -> (h, w) map >= 0 per image, refined as ``maps`` are: by the
        self-attention that was read, at its size; as they are where none was."""
        if self._readers.refinement is None:
            return [dict(classes) for classes in maps]
        return self._readers.refinement.refine(maps, self.settings.tau or 0, self.settings.inflation)

    def absent(self) -> list[tuple[str, ...]]:
        """The asked-for classes that each image's prompt does not mention within the text encoders' context."""
        return self._absent

    def queries(self) -> StoredQueries:
        """The queries that were kept, with the self-attention that refines maps, of all passes that count.

        Raises:
            ModelError: the trace was not made to keep any, or no pass was kept.
        """
        if self._keeper is None:
            raise ModelError("this trace kept no queries; open it as AttentionTrace(..., keep=QuerySettings())")
        return self._keeper.stored(self._readers.refinement)

    def _chosen(self, settings: TraceSettings | None) -> TraceSettings:
        """The settings to use where these were given."""
        products = self._attribution is not None and self._attribution.products
        if settings is None:
            return BUILT_IN if self._keeper is not None or products else preset_of(self._pipe)
        return (
            settings.changed(heads=None, layers=None, rescale=False) if products and settings.aggregated else settings
        )

    @torch.compiler.disable
    def _begin_pass(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        readers = self._readers
        readers.begin_pass(None)
        current = self._family.read_pass(self._family.named(args, kwargs))
        if current is None:
            return
        if readers.sums is None:
            readers.sums = self._find_classes(current)
            readers.images = self._images
        elif self._encoders.calls > self._encoded:
            raise ModelError("a trace covers one run of a pipeline; open a new AttentionTrace for the next")
        elif self._family.guided_apart and not same_context(current.context, self._context):
            return
        rows = current.latents.shape[0]
        if rows not in (self._images, 2 * self._images):
            raise ModelError(f"the model was called with {rows} images after {self._images}; trace one batch at once")
        self._passes += 1
        self._choice.begin(current)
        wanted = readers.sums.wanted or self._keeper is not None
        counts = wanted and self._choice.counts(current)
        kept = self._keeper is not None and self._keeper.begin(current)
        if counts and self.settings.pass_at is not None:  # it is the nearest so far
            readers.forget()
            self._counted = 0
        self._counted += counts
        refines = (
            wanted and readers.refinement is not None and self._choice.refines(current, counts, readers.refinement)
        )
        readers.begin_pass(current, counts=counts, kept=kept, refines=refines)

    def _find_classes(self, first: Pass) -> AttentionAccumulator:
        """The tokens of all classes in the prompts that are painted, known from the first pass."""
        count, latents = self._encoders.prompts, first.latents.shape[0]
        guided = self._family.guided(first.latents, count)
        self._images, self._context = latents // 2 if guided else latents, first.context
        self._encoded = self._encoders.calls
        if count and self._images % count:
            raise ModelError(f"the model was called with {self._images} images for {count} prompts")
        if self._attribution is not None:
            self._readers.keys = Keys(self._attribution, self._family, self._images)
            self._absent = self._attribution.absent(self._images)
            return self._attribution.sums(self._images, self.settings)
        length = first.context.shape[1]
        if not self._phrases:
            self._absent = [()] * self._images
            return AttentionAccumulator([[PromptTokens({}, ())] * self._images], [length], self.settings)
        rows = self._family.rows_of_images(first.context.shape[0], self._images)
        painted = self._encoders.painted(first.context[rows], guided)
        if not painted:
            raise ModelError(
                "the trace cannot tell which prompts are painted, since not all of them were encoded inside it; "
                "give them as AttentionTrace(..., prompts=[...])"
            )
        phrases = [self._phrases] * count if isinstance(self._phrases, Mapping) else list(self._phrases)
        if len(phrases) != count:
            raise ModelError(f"phrases are given for {len(phrases)} prompts, but {count} are painted")
        prompts = mentions(painted, phrases, length)
        absent = [
            tuple(label for label in asked if label not in prompt.classes)
            for prompt, asked in zip(prompts, phrases, strict=True)
        ]
        each = self._images // count
        self._absent = [labels for labels in absent for _ in range(each)]
        return AttentionAccumulator([[prompt for prompt in prompts for _ in range(each)]], [length], self.settings)


def _stretched(classes: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Maps with their ranges brought to [0, 1]."""
    if not classes:
        return {}
    maps = stretched(torch.from_numpy(np.stack(list(classes.values()))))
    return dict(zip(classes, maps.numpy(), strict=True))
