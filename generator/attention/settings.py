"""Which attention is read and how its maps are combined. Knows nothing of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from diffucurate.generator.validation import StrictSettings

Block = Literal["down", "mid", "up"]
Contest = Literal["all", "no-start", "content"]
Upsampling = Literal["bilinear", "bicubic"]
Heads = Literal["sharp", "contribution"]
Layers = Literal["affinity"]


def _check_span(ends: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= ends[0] <= ends[1] <= 1:
        raise ValueError("use (lowest, highest) with 0 <= lowest <= highest <= 1")
    return ends


def _check_weights(weights: Mapping[int, float]) -> Mapping[int, float]:
    if min(weights.values(), default=0) < 0 or sum(weights.values()) <= 0:
        raise ValueError("use weights >= 0 of which one is positive")
    return weights


#: Lowest and highest of something, as shares of it in [0, 1].
Span = Annotated[tuple[float, float], AfterValidator(_check_span)]


class TraceSettings(StrictSettings):
    """How attention becomes class maps.

    Attributes:
        blocks: the parts of a UNet whose cross-attention is read. The up blocks alone found most in the
            built-in model, on rendered scenes set aside for choosing (mIoU 0.59, with down and mid blocks 0.57).
        depth: the blocks of a transformer that are read, as (first, last) share of its depth: 0 is the first
            block, 1 the last, so that the same setting serves models of any depth. By default what was found
            best for its family: see ``attention.families``.
        finest, coarsest: the maps that are kept, by how much coarser than the latent they are: 1 for maps
            of the latent's own size, 2 for half its side, 4, 8... Relative, because a latent has 64 pixels
            a side in one model and 16 in another.
        weights: coarseness -> weight, when each size shall count as a whole; sizes left out are not read.
            Without it every layer and head counts the same (DAAM).
        noise: lowest and highest noise level that counts, as shares of the schedule: 0 is the clean end,
            1 pure noise.
        contest: the tokens that share a pixel's attention. "all": the model's own softmax. "no-start": the
            start token, which gets most of it, is dropped and the rest renormalised; of a chat template all that comes
            before the prompt. "content": the end and padding tokens, or what comes after it, are dropped too (GoCA's
            ablation). Where image and text are one sequence, the image's own tokens always take part. By default what
            suits the family: "content" where pixels attend to words alone, "all" where they attend to other pixels too.
        upsampling: "bilinear", or "bicubic" with each head's map clamped at 0 before the mean (DAAM).
        average_steps: divide by the number of passes through the model, which makes values shares of
            attention in [0, 1] whatever the schedule; otherwise they are sums over the passes (DAAM).
        linear: the product of query and key as it is, with no softmax, so no contest and no mask (OVAM's linear DAAM).
            Each map is then raised until its minimum is 0: a product says which pixel has more of a word than
            another, its zero says nothing, and clamping there would cut off what is below it of a weak word.
        heads: None, and all heads count the same (DAAM), or "sharp": each head counts, class by class and image by
            image, by how far its map is from flat, its deviation as a share of its mean. On scenes set
            aside for choosing, labels that follow the image's edges had mIoU 0.76 with it and 0.75 without by the
            captions' words, 0.75 and 0.56 by a text that names the classes alone ("a photo of a car and a bus").
            "contribution": each head counts, pixel by pixel, by what it contributes to the layer's output (GoCA; see
            ``capture.head_weights``).
        layers: None, and all layers count by their number of heads, or "affinity": each layer counts by how well its
            self-attention agrees with the affinity of a reference layer's features (GoCA; see
            ``capture.layer_weights``). Which layer that is, and which self-attention refines, is then up to the family.
        rescale: of each pixel, the shares of the words are made to sum to 1, and the range of each class's map is then
            brought to [0, 1], before refinement and after (GoCA; see ``capture.rescaling``).
        single_stream: whether the blocks of Flux.1 and Flux.2 in which image and text are one stream are read too,
            which come after the others; ``depth`` counts both.
        pass_at: a noise level, as a share of the schedule: the pass nearest to it is the only one that is read. None
            for all passes within ``noise``.
        tau: how often the maps are refined by the self-attention of the same blocks, 0 for not at all: each pixel
            takes the mean of what the pixels it attends to have; see ``attention.self_attention``. Dataset
            Diffusion's is 4. By default what suits the family: 1 in UNets, 0 in transformers, where it was not
            measured.
        inflation: the power that self-attention's shares are raised to before. 1 is the papers'. On rendered scenes
            set aside for choosing, labels of the built-in model that follow the image's edges had mIoU 0.76 without
            refinement, 0.71 with tau 1 and inflation 1, 0.79 with 1 and 4 (from 3 to 6 and for tau 1 or 2 within 0.02).
        refine_at: the self-attention that refines, by how much coarser than the latent it is; refined maps are of
            its size. By default the one nearest to 32 x 32 pixels (Dataset Diffusion's), so 2 for latents of 64 x 64
            and 1 for 16 x 16; where the model has none in these blocks, maps stay as they are.
        refine_noise: lowest and highest noise level of the passes whose self-attention is read, one for each quarter of
            the schedule; None for every pass that counts, as it is too where the schedule has no step within. On
            painted images, labels agreed with the segmenter's in an mIoU of 0.71 by these, by the whole later half of
            the passes or by the last one alone, 0.70 by all of them.

    Raises:
        InvalidSetting: a value outside its range; the field is named ``trace.<name>``.
    """

    prefix: ClassVar[str] = "trace"

    blocks: Annotated[tuple[Block, ...], Field(min_length=1)] = ("up",)
    depth: Span | None = None
    finest: Annotated[int, Field(ge=1)] = 1
    coarsest: Annotated[int, Field(ge=1)] = 4
    weights: Annotated[Mapping[int, float], AfterValidator(_check_weights)] | None = None
    noise: Span = (0.0, 1.0)
    contest: Contest | None = None
    upsampling: Upsampling = "bilinear"
    average_steps: bool = True
    linear: bool = False
    heads: Heads | None = None
    layers: Layers | None = None
    rescale: bool = False
    single_stream: bool = False
    pass_at: Annotated[float, Field(ge=0, le=1)] | None = None
    tau: Annotated[int, Field(ge=0)] | None = None
    inflation: Annotated[float, Field(gt=0, le=100)] = 4.0
    refine_at: Annotated[int, Field(ge=1)] | None = None
    refine_noise: Span | None = (0.0, 0.5)

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.finest > self.coarsest:
            raise self.wrong("coarsest", f"use at least finest ({self.finest})")
        if self.linear and self.heads is not None:
            raise self.wrong("heads", "heads are weighed by shares of attention, not by products")
        if self.aggregated and (self.linear or self.weights is not None or self.upsampling != "bilinear"):
            raise self.wrong(
                "layers" if self.layers else "rescale" if self.rescale else "heads",
                "combine it with upsampling='bilinear' alone, without weights by size and without linear",
            )
        if self.rescale and self.contest not in (None, "all"):
            raise self.wrong("rescale", "use contest='all': the words' shares are renormalised afterwards")
        return self

    @property
    def aggregated(self) -> bool:
        """Whether anything of GoCA's aggregation is asked for."""
        return self.heads == "contribution" or self.layers is not None or self.rescale

    def reads(self, factor: int) -> bool:
        """Whether maps ``factor`` times coarser than the latent count."""
        return self.finest <= factor <= self.coarsest and (self.weights is None or self.weights.get(factor, 0) > 0)


class QuerySettings(StrictSettings):
    """What is kept of a run. The default keeps five passes of fifty: 73 MB an image of Stable Diffusion 1.5 at
    512 px, 555 MB of XL at 1024 px; see ``trace.query_keeper.expected_megabytes``.

    Attributes:
        noise: lowest and highest noise level of the passes that are kept, as shares of the schedule. At low noise
            the objects are there to be found.
        every: of those passes the first, and then every so many.
        finest, coarsest: the layers that are kept, by how much coarser than the latent their maps are.

    Raises:
        InvalidSetting: a value outside its range; the field is named ``keep.<name>``.
    """

    prefix: ClassVar[str] = "keep"

    noise: Span = (0.0, 0.5)
    every: Annotated[int, Field(ge=1)] = 5
    finest: Annotated[int, Field(ge=1)] = 1
    coarsest: Annotated[int, Field(ge=1)] = 4

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.finest > self.coarsest:
            raise self.wrong("coarsest", f"use at least finest ({self.finest})")
        return self

    def reads(self, factor: int) -> bool:
        """Whether layers whose maps are ``factor`` times coarser than the latent are kept."""
        return self.finest <= factor <= self.coarsest

    def chosen(self, levels: Sequence[float]) -> list[int]:
        """Of passes at these noise levels, in order, which are kept."""
        low, high = self.noise
        return [index for index, level in enumerate(levels) if low <= level <= high][:: self.every]


#: What suits the built-in model, chosen on rendered scenes set aside for choosing (see ``TraceSettings``). It is also
#: the default of models for whose family no figures are published.
BUILT_IN = TraceSettings()

#: Tang et al. 2022, "What the DAAM": the down and up blocks, maps eight times coarser than the latent and more
#: left out, each head's sum over the steps bicubically enlarged and clamped at 0, then the mean of all of them.
DAAM = TraceSettings(blocks=("down", "up"), contest="all", upsampling="bicubic", average_steps=False, tau=0)

#: Nguyen et al. 2023, "Dataset Diffusion": the cross-attention of 16 x 16 pixels and the self-attention of 32 x 32 for
#: latents of 64 x 64, in all blocks, the words' own softmax, and S^4 C. The class names are attributed as a text of
#: their own (``Attribution.from_text``), and masks cut by fixed thresholds.
DATASET_DIFFUSION = TraceSettings(
    blocks=("down", "mid", "up"),
    finest=4,
    coarsest=4,
    contest="all",
    tau=4,
    inflation=1.0,
    refine_at=2,
    refine_noise=None,
)

#: Meng et al. 2026, "Making Training-Free Diffusion Segmentors Scale with the Generative Power" (GoCA), of Stable
#: Diffusion 1.x, 2.x and XL: all layers, the words' own softmax, heads by contribution, layers by affinity, the words'
#: shares rescaled, S^2 C by self-attention of the finest size, all in one pass at a noise of 100 of 1,000 steps.
#: Published mIoU on VOC 2012, plain mean -> GoCA: SD 1.5 44.3 -> 60.7, XL 51.1 -> 65.6. Nothing was measured on trained
#: models here. The pass that is read takes 1.6 times as long as a plain one, on a CPU with a UNet of SD 1.5's layout, a
#: quarter as wide: 3 % of a run of 20 steps.
GOCA = TraceSettings(
    blocks=("down", "mid", "up"),
    depth=(0.0, 1.0),
    coarsest=64,
    contest="all",
    heads="contribution",
    layers="affinity",
    rescale=True,
    pass_at=0.1,
    tau=2,
    inflation=1.0,
    refine_noise=None,
)

#: GoCA of PixArt, whose affinity has the order 5. Published mIoU on VOC 2012: PixArt-Sigma 63.6.
GOCA_PIXART = GOCA.changed(tau=5)

#: GoCA of Flux: heads count the same, at a noise of 0.15. Published mIoU on VOC 2012: 55.7 -> 70.7.
GOCA_FLUX = GOCA.changed(heads=None, single_stream=True, pass_at=0.15)
