"""The comparison: worst_group, ablation, replicates; and what a run would do: check."""


rule worst_group:
    input:
        metrics=paths.metrics,
    output:
        table="results/{dataset}/worst_group.json",
        csv="results/{dataset}/worst_group.csv",
    log:
        "results/logs/{dataset}/worst_group.log",
    benchmark:
        "results/benchmarks/{dataset}/worst_group.tsv"
    conda:
        "../envs/data.yaml"
    params:
        settings=settings("worst_group"),
        code=code("worst_group"),
        lineage=lineage("worst_group"),
    shell:
        "python -m fairgen.worst_group --settings {params.settings:q} --metrics {input.metrics}"
        " --table {output.table} --csv {output.csv} --lineage {params.lineage:q} --log {log}"


rule ablation:
    input:
        metrics=paths.metrics,
    output:
        table="results/{dataset}/ablations/{ablation}.json",
        bars=report("results/{dataset}/ablations/{ablation}.png", caption="captions/ablation.rst", category="Ablations"),
    log:
        "results/logs/{dataset}/ablations/{ablation}.log",
    benchmark:
        "results/benchmarks/{dataset}/ablations/{ablation}.tsv"
    conda:
        "../envs/data.yaml"
    params:
        settings=settings("ablation"),
        code=code("ablation"),
        lineage=lineage("ablation"),
    shell:
        "python -m fairgen.ablation --settings {params.settings:q} --metrics {input.metrics}"
        " --table {output.table} --bars {output.bars} --lineage {params.lineage:q} --log {log}"


rule replicates:
    input:
        tables=paths.replicates,
    output:
        replicates="results/{dataset}/replicates.json",
    log:
        "results/logs/{dataset}/replicates.log",
    benchmark:
        "results/benchmarks/{dataset}/replicates.tsv"
    conda:
        "../envs/data.yaml"
    params:
        settings=settings("replicates"),
        code=code("replicates"),
        lineage=lineage("replicates"),
    shell:
        "python -m fairgen.replicates --settings {params.settings:q} --tables {input.tables}"
        " --replicates {output.replicates} --lineage {params.lineage:q} --log {log}"


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
        "python -m fairgen.check --settings {params.settings:q} --audit {input.audit} --facts {input.facts}"
        " --splits {input.splits} --page {output.page} --lineage {params.lineage:q} --log {log}"
