"""What the page `report.html` is made from beyond the comparison: the images' closest training rows,
clusters, its own assets, and what is there of replicates.
"""

from pathlib import Path
from typing import Any

from fairgen.core import records
from fairgen.workflow import compared
from fairgen.workflow.ancestry import Ancestry
from fairgen.workflow.artifacts import Paths, named

ASSETS = Path(__file__).parents[1] / "report/page"  # templates, style and script


class ReportInputs:
    """Input functions of the rule `browse`; `targets` are the files that the call asks for."""

    def __init__(self, paths: Paths, lineages: Ancestry, targets: tuple[str, ...]):
        self.paths = paths
        self.lineages = lineages
        self.targets = targets

    def sets(self, w: Any) -> list[tuple[str, bool]]:
        """The method of every selection, in the order of `selections`, and whether its groups are split into
        clusters.
        """
        found = compared.synthetic_sets(self.paths.config, w.dataset)
        return [(one["name"], one["clusters"] > 1) for one in found]

    def _at(self, w: Any, stage: str, name: str, method: str, **more: str) -> str:
        first = self.paths.compared(w)[0][0]
        return self.paths.place(w, stage, name, method=method, scope=first, **more)

    def nearest(self, w: Any) -> list[str]:
        """What is closest to each image of every selection."""
        return [self._at(w, "filter", "nearest.parquet", name) for name, _ in self.sets(w)]

    def samples(self, w: Any) -> list[str]:
        """The images of every selection."""
        groups = self.paths.groups(w)
        return [
            self._at(w, "sample", "samples/{group}.parquet", name, group=group)
            for name, _ in self.sets(w)
            for group in groups
        ]

    def clusters(self, w: Any) -> list[str]:
        """Clusters of every selection that has several in a group."""
        return [self._at(w, "cluster", "clusters.parquet", name) for name, several in self.sets(w) if several]

    def replicates(self, w: Any) -> list[str]:
        """Tables over replicates, the data set's own and those of others (for the map), that are there with
        their replicates' own and of the present config, code and data, or that this very call makes: the page
        shows what there is, and no replicate is ever run for its sake.
        """
        listed = self.paths.config["replicates"]
        files = (f"results/{name}/replicates.json" for name in listed)
        return [path for path in files if path in self.targets or self._present(path)]

    def _present(self, path: str) -> records.Record | None:
        """What a table records; None unless it is of the present config and code, and its own tables are too,
        of the same data.
        """
        found = records.read(Path(path))
        made = self.lineages.of(path) if found else None
        if not found or not made or made.hash != found["hash"]:
            return None
        own = [self._present(table) for table in made.inputs.get("tables", [])]
        return found if all(one and not records.other_data(found, one) for one in own) else None

    def assets(self, w: Any) -> list[str]:
        """Templates, style and script, so that an edit of them makes the page again."""
        return sorted(named(path) for path in ASSETS.iterdir() if path.is_file())
