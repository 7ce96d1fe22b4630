"""Names of data sets: the schema, the commands and the command line of snakemake agree."""

import pytest

from fairgen.monitor import trackers
from fairgen.workflow import names, preflight
from fairgen.workflow.command_line import requested


def test_the_schema_has_the_same_pattern_and_says_the_same(schema: dict) -> None:
    own = schema["properties"]["datasets"]["propertyNames"]
    assert own["pattern"] == names.PATTERN
    assert all(name in own["description"] and name in names.RULE for name in names.RESERVED)


@pytest.mark.parametrize("name", ["birds", "b", "my-set-2", "logs-2", "tracking-birds"])
def test_a_name(name: str) -> None:
    assert names.valid(name)


@pytest.mark.parametrize("name", ["My_Set", "my_set", "2020faces", "a b", "", "-a", "a\n", *names.RESERVED])
def test_no_name(name: str) -> None:
    assert not names.valid(name)


def test_folders_of_results_are_no_data_sets(config: dict) -> None:
    assert {"logs", "benchmarks", trackers.FOLDER.name} == {*names.RESERVED}
    targets = [f"results/{name}/birds/index.tsv" for name in names.RESERVED]
    assert requested([*targets, "results/birds/index.parquet"]) == ["birds"]
    assert [*preflight.needs(config, targets[-1])] == []
