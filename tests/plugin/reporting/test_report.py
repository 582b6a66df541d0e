"""The report of datasets whose numbers are known."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F

from diffucurate.generator.errors import DatasetError, ExportError, InvalidSetting
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.tiny.shapes import CLASSES
from diffucurate.plugin.comparison.compare import compare
from diffucurate.plugin.curation.curate import curate
from diffucurate.plugin.reporting.report import report


def box(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros((128, 128), np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask


@pytest.fixture
def compared(dataset: fo.Dataset, add_scenes, scenes) -> fo.Dataset:
    """Three images. Source ``a``: a car of confidence 0.9 that ``b`` has too, by half; a bus of 0.35 that it has not;
    an image without instances in both. The third image is labelled by ``b`` alone."""
    shape = scenes[0].image.shape[:2]

    def labels(*instances: Instance) -> Labels:
        return Labels.from_instances(instances, CLASSES, shape)

    wide, narrow = box(0, 0, 60, 40), box(0, 0, 36, 40)  # IoU 0.6
    bus = Instance("bus", box(70, 70, 110, 110), 0.35)
    add_scenes(
        scenes[:3],
        a=[labels(Instance("car", wide, 0.9), bus), labels(), None],
        b=[labels(Instance("car", narrow, 1.0)), labels(), labels(bus)],
    )
    compare(dataset, "a", "b")
    return dataset


class Texts(HTMLParser):
    """The text of a page by section, and every address in it."""

    def __init__(self) -> None:
        super().__init__()
        self.sections: dict[str, str] = {"": ""}
        self.addresses: list[str] = []
        self._section, self._heading = "", False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._heading = tag == "h2"
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        if self._heading:
            self._section, self._heading = data, False
            self.sections[data] = ""
        else:
            self.sections[self._section] += " " + data.strip()


def texts(path: Path) -> Texts:
    reader = Texts()
    reader.feed(path.read_text("utf-8"))
    return reader


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_numbers_are_those_of_the_labels(compared: fo.Dataset, tmp_path: Path) -> None:
    reports = []
    summary = report(compared, tmp_path / "page.html", progress=reports.append)
    assert (summary.source, summary.against, summary.images) == ("a", "b", 3)
    figures = summary.figures
    assert figures["classes"] == 2 and figures["instances_per_image"] == 1 and figures["images_without_instances"] == 1
    assert figures["agreement"] == pytest.approx((0.6 / 2 + 1) / 2)
    assert figures["mean_iou_of_matched"] == pytest.approx(0.6, abs=0.01)
    assert figures["calibration_error"] == pytest.approx((abs(0.9 - 0.6) + 0.35) / 2, abs=0.01)
    assert 1 < figures["vendi_score"] < 3 and figures["vendi_share"] == pytest.approx(figures["vendi_score"] / 3)
    assert figures["glcm_contrast"] > 0 and figures["compression_ratio"] > 1
    page = texts(tmp_path / "page.html")
    assert len(page.addresses) == 3 and all(uri.startswith("data:image/png;base64,") for uri in page.addresses)
    assert "car 1 1" in squeezed(page.sections["Images per class"])
    assert "1.00 instances per image on average of 2 images; 1 images have none" in page.sections["Instances per image"]
    assert "colour and gradient histograms" in page.sections["Diversity"]
    assert "car 1 0 0 0.600" in squeezed(page.sections["Agreement"]) and "bus 0 1 0" in squeezed(
        page.sections["Agreement"]
    )
    assert "1 0.350 0.000 1 0.900 0.600" in squeezed(page.sections["Confidence and what came true"])
    assert summary.missing["What was thrown away, and why"] == "Nothing was curated, and no run left anything out."
    assert (
        "no distance" in summary.missing["Fidelity"]
        and "not painted" in summary.missing["Coverage of the prompts' attributes"]
    )
    assert [(each.done, each.total) for each in reports][-1] == (3, 3)
    assert compared.get_run_info(compared.list_runs(method="diffucurate/report")[0]).config.facts["images"] == 3


def test_the_same_view_gives_the_same_page_and_filters_count(compared: fo.Dataset, tmp_path: Path) -> None:
    report(compared, tmp_path / "a.html")
    report(compared, tmp_path / "b.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    sure = compared.filter_labels("a_instances", F("confidence") > 0.5, only_matches=False)
    assert report(sure, tmp_path / "c.html", source="a").figures["classes"] == 1


def test_against_a_reference(compared: fo.Dataset, tmp_path: Path) -> None:
    embedded = np.random.default_rng(0).normal(size=(3, 2))
    same = report(compared, tmp_path / "a.html", reference=compared, embeddings=embedded, reference_embeddings=embedded)
    assert same.figures["frechet_distance"] == pytest.approx(0, abs=1e-9) and "Fidelity" not in same.missing
    far = report(
        compared, tmp_path / "b.html", reference=compared, embeddings=embedded, reference_embeddings=embedded + 3
    )
    assert far.figures["frechet_distance"] == pytest.approx(18)
    compared.set_values("clip", list(embedded))
    page = tmp_path / "c.html"
    assert report(compared, page, reference=compared[:2], embeddings="clip").figures["vendi_score"] < 2.01
    assert "embeddings of 'clip'" in texts(page).sections["Diversity"]
    single = report(compared, tmp_path / "d.html", reference=compared[:1])
    assert "3 and 1 vectors; give at least two of each" in single.missing["Fidelity"]
    report(compared, tmp_path / "e.html", reference=compared)  # by histograms of 192 features
    assert "There are 3 vectors of 192 features: too few for" in texts(tmp_path / "e.html").sections["Fidelity"]


def test_what_was_thrown_away_is_told(compared: fo.Dataset, tmp_path: Path) -> None:
    curate(compared, source="a", min_confidence=0.5, save_as="sure")
    report(compared, tmp_path / "page.html")
    told = texts(tmp_path / "page.html").sections["What was thrown away, and why"]
    assert "Curation 'sure' (labels of a, confidence at least 0.5): 1 of 3 images kept." in told
    assert "Dropped: 1 without labels of this source, 1 by confidence." in told


def test_coverage_of_attributes(generated: fo.Dataset, tmp_path: Path) -> None:
    summary = report(generated.match(F("attributes.object") == "car"), tmp_path / "page.html")
    told = squeezed(texts(tmp_path / "page.html").sections["Coverage of the prompts' attributes"])
    assert "object car 2" in told and "object bus 0" in told
    assert summary.figures["values_without_images"] == 1 and summary.figures["pairs_without_images"] == 2
    assert "not compared" in summary.missing["Agreement"]


def test_a_dataset_of_plain_images(dataset: fo.Dataset, scenes, tmp_path: Path) -> None:
    """Nothing was labelled: sections without data say so. What cannot be read is left out."""
    from diffucurate.plugin.store.media_files import write_png

    paths = [write_png(tmp_path / f"{index}.png", scenes[index].image) for index in range(2)]
    (tmp_path / "broken.png").write_bytes(b"no image")
    dataset.add_samples([fo.Sample(filepath=str(path)) for path in (*paths, tmp_path / "broken.png")])
    summary = report(dataset, tmp_path / "page.html")
    assert summary.source is None and set(summary.figures) == {
        "vendi_score",
        "vendi_share",
        "glcm_contrast",
        "compression_ratio",
    }
    for title in ("Images per class", "Instances per image", "Agreement", "Confidence and what came true"):
        assert summary.missing[title] == "The dataset holds no labels."


def test_prompts_and_names_are_escaped(compared: fo.Dataset, tmp_path: Path) -> None:
    compared.set_values("prompt", ["</figcaption><script>x</script>"] * 3)
    report(compared, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<script" not in page and "&lt;script&gt;" in page


def test_bad_input_is_named(compared: fo.Dataset, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    with pytest.raises(DatasetError, match="no field 'nobody_instances'"):
        report(compared, page, source="nobody")
    with pytest.raises(InvalidSetting, match="against: 'c' - compare 'a' with it first; it was compared with b"):
        report(compared, page, source="a", against="c")
    with pytest.raises(InvalidSetting, match="embeddings: 'clip' - the dataset has no such embeddings"):
        report(compared, page, embeddings="clip")
    with pytest.raises(InvalidSetting, match=r"an array of shape \(2, 4\).* - give a row for each of the 3 samples"):
        report(compared, page, embeddings=np.ones((2, 4)))
    with pytest.raises(InvalidSetting, match="reference_embeddings: None - give both of them or none"):
        report(compared, page, reference=compared, embeddings=np.ones((3, 4)))
    assert not page.exists()


def test_only_a_report_is_ever_replaced(compared: fo.Dataset, tmp_path: Path) -> None:
    page = tmp_path / "new" / "page.html"
    report(compared, page)
    with pytest.raises(ExportError, match="is there already; overwrite it or name another file"):
        report(compared, page)
    report(compared[:1], page, overwrite=True)
    assert "1 images of dataset" in page.read_text()
    page.write_text("<html>my own page</html>")
    with pytest.raises(ExportError, match="is there already and no report"):
        report(compared, page, overwrite=True)
    with pytest.raises(ExportError, match="is a folder; name a file in it"):
        report(compared, tmp_path, overwrite=True)
    with pytest.raises(ExportError, match="nothing can be written in"):
        report(compared, page / "below.html")
    assert page.read_text() == "<html>my own page</html>"


def test_of_many_images_some_are_measured(
    compared: fo.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("report", "vectors"):
        monkeypatch.setattr(f"diffucurate.plugin.reporting.{module}.MOST_IMAGES", 2)
    report(compared, tmp_path / "page.html")
    assert "2 of 3 images, evenly spread" in texts(tmp_path / "page.html").sections["Diversity"]
