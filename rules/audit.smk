"""The synthetic sets: audit of each one with its data card, and all of them on one page. Asked for explicitly."""


rule audit:
    input:
        index="results/{dataset}/index.parquet",
        embeddings="results/{dataset}/embeddings.parquet",
        selection="results/{dataset}/{scope}/{method}/selection.parquet",
        samples=paths.samples,
        drawings=paths.drawings,
        clip=paths.weights("score"),
        encoder=paths.weights("embed", "encoder"),
    output:
        audit="results/{dataset}/{scope}/{method}/audit.json",
        card="results/{dataset}/{scope}/{method}/selection.md",
        pairs=report("results/{dataset}/{scope}/{method}/nearest.png", caption="captions/nearest.rst", category="Audit"),
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
        "python -m fairgen.audit --settings {params.settings:q} --index {input.index} --embeddings {input.embeddings}"
        " --selection {input.selection} --samples {input.samples} --scope {wildcards.scope} --method {wildcards.method}"
        " --audit {output.audit} --card {output.card} --pairs {output.pairs}"
        " --gpu {resources.gpu} --lineage {params.lineage:q} --log {log}"


rule audit_synthetic:
    input:
        audits=paths.audits,
    output:
        table="results/{dataset}/audit_synthetic.json",
        page="results/{dataset}/audit_synthetic.md",
        html=report(
            "results/{dataset}/pages/audit_synthetic.html", caption="captions/audit_synthetic.rst", category="Audit"
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
        "python -m fairgen.audit_synthetic --settings {params.settings:q} --audits {input.audits}"
        " --table {output.table} --page {output.page} --html {output.html} --lineage {params.lineage:q} --log {log}"
