"""The comparison, and what is asked for explicitly: ablations, replicates, and the audit of each synthetic set (the page to look
at needs those at the first ratio)."""


rule metrics:
    input:
        predictions="results/{dataset}/{scope}/{method}/seed-{seed}/predictions.parquet",
        split="results/{dataset}/{scope}/split.parquet",
    output:
        metrics="results/{dataset}/{scope}/{method}/seed-{seed}/metrics.json",
    log:
        "results/logs/{dataset}/{scope}/{method}/seed-{seed}/metrics.log",
    benchmark:
        "results/benchmarks/{dataset}/{scope}/{method}/seed-{seed}/metrics.tsv"
    conda:
        "../envs/data.yaml"
    params:
        settings=settings("metrics"),
        code=code("metrics"),
        lineage=lineage("metrics"),
    shell:
        "python -m fairgen.evaluate.metrics --settings {params.settings:q} --predictions {input.predictions}"
        " --split {input.split} --metrics {output.metrics} --lineage {params.lineage:q} --log {log}"


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
        "python -m fairgen.evaluate.worst_group --settings {params.settings:q} --metrics {input.metrics}"
        " --table {output.table} --csv {output.csv} --lineage {params.lineage:q} --log {log}"


rule ablation:
    input:
        metrics=paths.metrics,
    output:
        table="results/{dataset}/ablations/{ablation}.json",
        bars=report(
            "results/{dataset}/ablations/{ablation}.png", caption="captions/ablation.rst", category="6 Ablations"
        ),
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
        "python -m fairgen.evaluate.ablation --settings {params.settings:q} --metrics {input.metrics}"
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
        "python -m fairgen.evaluate.replicates --settings {params.settings:q} --tables {input.tables}"
        " --replicates {output.replicates} --lineage {params.lineage:q} --log {log}"


rule ablation_replicates:
    input:
        tables=paths.ablation_replicates,
    output:
        replicates="results/{dataset}/ablations/{ablation}/replicates.json",
    log:
        "results/logs/{dataset}/ablations/{ablation}/replicates.log",
    benchmark:
        "results/benchmarks/{dataset}/ablations/{ablation}/replicates.tsv"
    conda:
        "../envs/data.yaml"
    params:
        settings=settings("ablation_replicates"),
        code=code("ablation_replicates"),
        lineage=lineage("ablation_replicates"),
    shell:
        "python -m fairgen.evaluate.ablation_replicates --settings {params.settings:q} --tables {input.tables}"
        " --replicates {output.replicates} --lineage {params.lineage:q} --log {log}"


rule audit:
    input:
        index="results/{dataset}/index.parquet",
        embeddings="results/{dataset}/embeddings.parquet",
        selection="results/{dataset}/{scope}/{method}/selection.parquet",
        second=paths.second_scores,
        samples=paths.samples,
        drawings=paths.drawings,
        space=paths.weights("audit", "encoder"),
        encoder=paths.weights("embed", "encoder"),
    output:
        audit="results/{dataset}/{scope}/{method}/audit.json",
        card="results/{dataset}/{scope}/{method}/selection.md",
        pairs="results/{dataset}/{scope}/{method}/nearest.png",
        page=report(
            "results/{dataset}/{scope}/{method}/nearest.html",
            caption="captions/nearest.rst",
            category="5 Audit of the images",
        ),
        nearest="results/{dataset}/{scope}/{method}/nearest.parquet",
    log:
        "results/logs/{dataset}/{scope}/{method}/audit.log",
    benchmark:
        "results/benchmarks/{dataset}/{scope}/{method}/audit.tsv"
    conda:
        "../envs/generate.yaml"
    threads: config["threads"]
    resources:
        gpu=paths.gpus,
        mem_mb=grows(16000),
        runtime=grows(60),
    params:
        settings=settings("audit"),
        code=code("audit"),
        lineage=lineage("audit"),
    shell:
        "python -m fairgen.evaluate.audit --settings {params.settings:q} --index {input.index} --embeddings {input.embeddings}"
        " --selection {input.selection} --second {input.second} --samples {input.samples} --scope {wildcards.scope} --method {wildcards.method}"
        " --audit {output.audit} --card {output.card} --pairs {output.pairs} --page {output.page} --nearest {output.nearest}"
        " --gpu {resources.gpu} --watched {input.encoder:q} {input.space:q} --lineage {params.lineage:q} --log {log}"


rule audit_synthetic:
    input:
        audits=paths.audits,
    output:
        table="results/{dataset}/audit_synthetic.json",
        page="results/{dataset}/audit_synthetic.md",
        html=report(
            "results/{dataset}/pages/audit_synthetic.html",
            caption="captions/audit_synthetic.rst",
            category="5 Audit of the images",
        ),
    log:
        "results/logs/{dataset}/audit_synthetic.log",
    benchmark:
        "results/benchmarks/{dataset}/audit_synthetic.tsv"
    conda:
        "../envs/data.yaml"
    params:
        settings=settings("audit_synthetic"),
        code=code("audit_synthetic"),
        lineage=lineage("audit_synthetic"),
    shell:
        "python -m fairgen.evaluate.audit_synthetic --settings {params.settings:q} --audits {input.audits}"
        " --table {output.table} --page {output.page} --html {output.html} --lineage {params.lineage:q} --log {log}"
