"""The machinery below all operators: streams, progress, errors, abandoned runs, calls from Python."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from fiftyone.operators.executor import ExecutionContext, Executor

from diffucurate.generator.errors import InvalidSetting, LabelError
from diffucurate.generator.progress import Progress
from diffucurate.operators.runtime.operator import REFRESH_OPENED, LibraryOperator, Outcome
from diffucurate.operators.runtime.streaming import in_words

if TYPE_CHECKING:
    import fiftyone as fo


class Counting(LibraryOperator):
    """Counts to three, as a library call would, and remembers how it ended."""

    NAME, LABEL, DESCRIPTION, ICON = "count_up", "Count up", "Counts", "add"
    RISK = "low"

    def __init__(self, error: Exception | None = None, pause: float = 0.0) -> None:
        super().__init__()
        self.plugin_name = "@test/test"
        self.error, self.pause = error, pause
        self.ended: list[str] = []
        self.over = threading.Event()

    def run(self, ctx, progress):
        try:
            for done in range(1, 4):
                time.sleep(self.pause)
                if progress is not None:
                    progress(Progress(done, 3, 2.0, (3 - done) / 2, note=f"step {done}"))
                if self.error is not None:
                    raise self.error
            self.ended.append("done")
            return Outcome("counted to 3", {"count": 3})
        except BaseException as error:
            self.ended.append(type(error).__name__)
            raise
        finally:
            self.over.set()


def context(**request) -> ExecutionContext:
    return ExecutionContext({"params": {}, **request}, Executor(), operator_uri="@test/test/count_up")


def streamed(operator: Counting) -> list[tuple[str, dict]]:
    return [(m.body.operator_uri, m.body.params) for m in operator.execute(context(filters={}))]


def test_stream_shows_progress_then_data_then_result(app) -> None:
    told = streamed(Counting())
    shown = [*["show_output"] * 4, "reload_dataset", REFRESH_OPENED, "show_output"]
    assert [uri for uri, _ in told] == shown
    assert [params["results"]["progress"] for _, params in told[:4]] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    bar = told[2][1]["outputs"]["type"]["properties"]["progress"]["view"]
    assert (bar["name"], bar["label"]) == ("ProgressView", "Count up: 2 of 3, 2.0 images/s, 0:00 left, step 2")
    assert told[-1][1]["results"] == {"count": 3}
    assert list(told[-1][1]["outputs"]["type"]["properties"]) == ["headline"]  # which says the count
    assert app.said(told) == ("Success", "counted to 3")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (LabelError("class 'car' has no map; paint it"), "class 'car' has no map; paint it"),
        (KeyError("car"), "KeyError: 'car'. The server's log says more."),
    ],
)
def test_errors_become_one_sentence(app, error: Exception, message: str) -> None:
    told = streamed(Counting(error))
    assert app.said(told) == ("Error", message)
    assert "reload_dataset" not in dict(told)
    assert "Traceback" not in str(told)


def test_closing_the_stream_stops_the_work() -> None:
    operator = Counting(pause=0.05)
    stream = operator.execute(context(filters={}))
    next(stream), next(stream)
    stream.close()
    assert operator.over.wait(5)
    assert operator.ended == ["Abandoned"]


@pytest.mark.parametrize("by", ["button", "name", "all"])
def test_cancelling_stops_the_work_and_says_so(app, by: str) -> None:
    operator = Counting(pause=0.1)
    stream = operator.execute(context(filters={}))
    button = next(stream).body.params["outputs"]["type"]["properties"]["cancel"]["view"]
    assert button["operator"] == "@diffucurate/diffucurate/cancel_run"
    (listed,) = app.form("cancel_run", None)["run"]["type"]["values"]
    assert listed == button["params"]["run"]
    assert (
        app.stream("cancel_run", None, **({"button": button["params"], "name": {"run": listed}, "all": {}}[by])) == []
    )
    told = [(message.body.operator_uri, message.body.params) for message in stream]
    assert operator.ended == ["Abandoned"]
    assert "reload_dataset" not in [uri for uri, _ in told]  # no dataset is open
    headline = told[-1][1]["outputs"]["type"]["properties"]["headline"]["view"]
    assert (headline["name"], headline["label"]) == ("Warning", "Count up: cancelled")
    assert list(app.form("cancel_run", None)) == ["idle"]


def test_cancel_answers_at_once_and_what_was_hidden_comes_back(app, monkeypatch: pytest.MonkeyPatch) -> None:
    from diffucurate.operators.runtime import streaming

    monkeypatch.setattr(streaming, "SHOWN_AGAIN", 0.3)
    stream = Counting(pause=1.5).execute(context(filters={}))
    first = next(stream).body.params["outputs"]["type"]["properties"]
    again = next(stream).body.params["outputs"]["type"]["properties"]  # no report has come yet
    assert again["progress"]["view"]["label"] == first["progress"]["view"]["label"] == "Count up: starting"
    start = time.monotonic()
    app.stream("cancel_run", None)
    stopping = next(stream).body.params["outputs"]["type"]["properties"]
    assert time.monotonic() - start < 1
    assert stopping["progress"]["view"]["label"] == "Count up: stopping after this batch"
    assert "cancel" not in stopping
    *_, last = stream
    again = last.body.params["outputs"]["type"]["properties"]["again"]["view"]
    assert (again["label"], again["operator"], again["prompt"]) == ("Continue", "@test/test/count_up", True)


def test_an_error_leads_back_to_the_form_as_it_was_sent_off() -> None:
    operator = Counting(InvalidSetting("count", 0, "give a number"))
    *_, last = operator.execute(context(filters={}, params={"count": 0}))
    again = last.body.params["outputs"]["type"]["properties"]["again"]["view"]
    assert (again["label"], again["params"]) == ("Back to the form", {"count": 0})


def test_cancelling_what_is_over_does_nothing(app) -> None:
    streamed(Counting())
    assert app.stream("cancel_run", None, run="gone") == []
    stream = Counting(pause=0.1).execute(context(filters={}))
    next(stream)
    assert "gone" in app.form("cancel_run", None, run="gone")["run"]["type"]["values"]
    assert app.stream("cancel_run", None, run="gone") == []
    assert [message.body.operator_uri for message in stream][-1] == "show_output"


@pytest.mark.parametrize("error", [LabelError("no map"), KeyError("car")])
def test_what_a_failing_run_made_is_shown(app, painted: fo.Dataset, error: Exception) -> None:
    ctx = context(filters={}, dataset_name=painted.name)
    told = [message.body.operator_uri for message in Counting(error).execute(ctx)]
    assert told[-2:] == ["reload_dataset", "show_output"]


def test_from_python_it_blocks_and_returns_the_result() -> None:
    assert Counting().execute(context()) == {"count": 3}


def test_from_python_errors_are_raised() -> None:
    with pytest.raises(LabelError, match="no map"):
        Counting(LabelError("no map")).execute(context())


def test_delegated_runs_report_progress() -> None:
    reported = []
    ctx = ExecutionContext(
        {"params": {}, "filters": {}, "delegated": True},
        Executor(),
        set_progress=lambda _, progress: reported.append((round(progress.progress, 2), progress.label)),
    )
    assert Counting().execute(ctx) == {"count": 3}
    assert reported[0] == (0.33, "1 of 3, 2.0 images/s, 0:01 left, step 1")
    assert len(reported) == 3


@pytest.mark.parametrize(
    ("progress", "share", "words"),
    [
        (Progress(0, 96, 0.0, 0.0), 0.0, "0 of 96"),
        (Progress(24, 96, 1.3, 55.4), 0.25, "24 of 96, 1.3 images/s, 0:55 left"),
        (Progress(1, 1000, 0.5, 3725.0), 0.001, "1 of 1000, 0.5 images/s, 62:05 left"),
        (Progress(0, 0, 0.0, 0.0, "nothing to do"), 0.0, "0 of 0, nothing to do"),
    ],
)
def test_progress_in_words(progress: Progress, share: float, words: str) -> None:
    assert in_words(progress) == (pytest.approx(share), words)


def test_new_colours_show_at_once_and_unchanged_ones_are_left_alone(app, painted: fo.Dataset) -> None:
    first = dict(app.stream("label_images", painted, source="attention"))["set_color_scheme"]
    painted.reload()
    scheme = painted.app_config.color_scheme
    assert (first["color_by"], first["fields"]) == ("value", scheme.fields)
    assert len(first["defaultColorscale"]["rgb"]) == 256
    assert "set_color_scheme" not in dict(app.stream("label_images", painted, source="attention"))
