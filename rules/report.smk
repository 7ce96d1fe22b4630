"""What people look at: figures, pages for the report, and what a run would do."""


rule figures:
    input:
        table="results/{dataset}/worst_group.json",
        selections=paths.selections,
        split=paths.first_split,
        map=paths.finest_clusters,
        features=paths.clustered_features,
    output:
        bars=report("results/{dataset}/figures/worst_group.png", caption="captions/worst_group.rst", category="Result"),
        curve=report("results/{dataset}/figures/ratios.png", caption="captions/ratios.rst", category="Result"),
        groups=report("results/{dataset}/figures/groups.png", caption="captions/groups.rst", category="Result"),
        samples=report("results/{dataset}/figures/samples.png", caption="captions/samples.rst", category="Samples"),
        acceptance=report(
            "results/{dataset}/figures/acceptance.png", caption="captions/acceptance.rst", category="Samples"
        ),
        clusters=report("results/{dataset}/figures/clusters.png", caption="captions/clusters.rst", category="Samples"),
    log:
        "results/logs/{dataset}/figures.log",
    benchmark:
        "results/benchmarks/{dataset}/figures.tsv"
    conda:
        "../envs/data.yaml"
    params:
        settings=settings("figures"),
        code=code("figures"),
        lineage=lineage("figures"),
    shell:
        "python -m fairgen.report.figures --settings {params.settings:q} --table {input.table} --split {input.split}"
        " --selections {input.selections} --bars {output.bars} --curve {output.curve}"
        " --groups {output.groups} --samples {output.samples} --acceptance {output.acceptance}"
        " --map {input.map} --features {input.features} --clusters {output.clusters} --lineage {params.lineage:q} --log {log}"


rule pages:
    input:
        table="results/{dataset}/worst_group.json",
        markdown="results/{dataset}/audit.md",
    output:
        result=report("results/{dataset}/pages/result.html", caption="captions/result.rst", category="Result"),
        audit=report("results/{dataset}/pages/audit.html", caption="captions/audit.rst", category="Data"),
    log:
        "results/logs/{dataset}/pages.log",
    benchmark:
        "results/benchmarks/{dataset}/pages.tsv"
    conda:
        "../envs/data.yaml"
    params:
        settings=settings("pages"),
        code=code("pages"),
        lineage=lineage("pages"),
    shell:
        "python -m fairgen.report.pages --settings {params.settings:q} --table {input.table} --markdown {input.markdown}"
        " --result {output.result} --audit {output.audit} --lineage {params.lineage:q} --log {log}"


rule check:
    input:
        audit="results/{dataset}/audit.md",
        facts="results/{dataset}/audit.json",
        splits=paths.splits,
    output:
        page="results/{dataset}/check.md",
    log:
        "results/logs/{dataset}/check.log",
    conda:
        "../envs/generate.yaml"
    params:
        settings=settings("check"),
        code=code("check"),
        lineage=lineage("check"),
    shell:
        "python -m fairgen.report.check --settings {params.settings:q} --audit {input.audit} --facts {input.facts}"
        " --splits {input.splits} --page {output.page} --lineage {params.lineage:q} --log {log}"
