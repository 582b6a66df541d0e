from __future__ import annotations

import pytest

from diffucurate.plugin.store import runs

SETTINGS = {"recipe": {"dataset": "x", "classes": {"car": ["car"]}}, "limit": None}


def test_run_says_what_was_done_with_what_and_how_it_ended(dataset):
    with runs.recorded(dataset, "generate", SETTINGS) as run:
        assert run.key.isidentifier()
        assert dataset.get_run_info(run.key).config.status == "running"
        run.facts["made"] = 3
    dataset.reload()
    config = dataset.get_run_info(run.key).config
    assert (config.status, config.facts, config.settings) == ("done", {"made": 3}, SETTINGS)
    assert "torch" in config.versions and "fiftyone" in config.versions
    assert config.method == "diffucurate/generate"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_interrupted_run_is_stopped_and_keeps_its_facts(dataset, error):
    with pytest.raises(error), runs.recorded(dataset, "label", SETTINGS) as run:
        run.facts["made"] = 1
        raise error
    config = dataset.get_run_info(run.key).config
    assert (config.status, config.facts) == ("stopped", {"made": 1})


def test_only_an_unfinished_run_with_the_same_settings_is_taken_up(dataset):
    with pytest.raises(ValueError), runs.recorded(dataset, "generate", SETTINGS) as run:
        raise ValueError
    dataset.reload()
    assert runs.unfinished(dataset, "generate", SETTINGS) == run.key
    assert runs.unfinished(dataset, "generate", {**SETTINGS, "limit": 4}) is None
    assert runs.unfinished(dataset, "label", SETTINGS) is None
    with runs.recorded(dataset, "generate", SETTINGS, key=run.key):
        # Of a killed run nobody could write more than this.
        assert runs.unfinished(dataset, "generate", SETTINGS) == run.key
    assert runs.unfinished(dataset, "generate", SETTINGS) is None
    assert dataset.list_runs() == [run.key]


def test_keys_differ():
    assert len({runs.new_key("label") for _ in range(20)}) == 20


def test_settings_are_read_as_plain_lists_and_dicts(dataset):
    with runs.recorded(dataset, "curate", {**SETTINGS, "classes": ["car"]}) as run:
        run.facts["removed"] = [["confidence", 2]]
    dataset.reload()
    record = runs.read(dataset, run.key)
    assert type(record.settings["classes"]) is list and type(record.facts["removed"][0]) is list
    assert type(record.settings["recipe"]["classes"]) is dict
