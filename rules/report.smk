"""What people look at: figures, pages for the report, and what a run would do."""


rule figures:
    input:
        table="results/{dataset}/worst_group.json",
        selections=paths.selections,
        split=paths.first_split,
        map=paths.finest_clusters,
        features=paths.clustered_features,
    output:
        bars=report(
            "results/{dataset}/figures/worst_group.png", caption="captions/worst_group.rst", category="1 Result"
        ),
        curve=report("results/{dataset}/figures/ratios.png", caption="captions/ratios.rst", category="1 Result"),
        groups=report("results/{dataset}/figures/groups.png", caption="captions/groups.rst", category="1 Result"),
        samples="results/{dataset}/figures/samples.png",
        acceptance=report(
            "results/{dataset}/figures/acceptance.png",
            caption="captions/acceptance.rst",
            category="4 Generated images",
        ),
        clusters="results/{dataset}/figures/clusters.png",
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
        bars="results/{dataset}/figures/worst_group.png",
        sheet="results/{dataset}/figures/samples.png",
        map="results/{dataset}/figures/clusters.png",
    output:
        cover=report("results/{dataset}/pages/cover.html", caption="captions/cover.rst", category="1 Result"),
        result=report("results/{dataset}/pages/result.html", caption="captions/result.rst", category="1 Result"),
        audit=report("results/{dataset}/pages/audit.html", caption="captions/audit.rst", category="2 Data"),
        clusters=report("results/{dataset}/pages/clusters.html", caption="captions/clusters.rst", category="3 Clusters"),
        samples=report(
            "results/{dataset}/pages/samples.html", caption="captions/samples.rst", category="4 Generated images"
        ),
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
        " --bars {input.bars} --sheet {input.sheet} --map {input.map} --cover {output.cover} --result {output.result}"
        " --audit {output.audit} --clusters {output.clusters} --samples {output.samples}"
        " --lineage {params.lineage:q} --log {log}"


rule browse:
    input:
        table="results/{dataset}/worst_group.json",
        split=paths.first_split,
        selections=paths.selections,
        samples=looking.samples,
        drawings=paths.drawings,
        nearest=looking.nearest,
        clusters=looking.clusters,
        replicates=looking.replicates,
        assets=looking.assets,
    output:
        page=report("results/{dataset}/report.html", caption="captions/browse.rst", category="1 Result"),
    log:
        "results/logs/{dataset}/browse.log",
    benchmark:
        "results/benchmarks/{dataset}/browse.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        gpus_before=paths.gpus,  # of the jobs whose costs it counts
    params:
        settings=settings("browse"),
        code=code("browse"),
        lineage=lineage("browse"),
    shell:
        "python -m fairgen.report.browse --settings {params.settings:q} --table {input.table} --split {input.split}"
        " --selections {input.selections} --nearest {input.nearest} --clusters {input.clusters}"
        " --replicates {input.replicates} --assets {input.assets} --trained results/{wildcards.dataset}"
        " --benchmarks results/benchmarks/{wildcards.dataset}"
        " --gpus {resources.gpus_before} --page {output.page} --watched {input.assets:q} --lineage {params.lineage:q} --log {log}"


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
