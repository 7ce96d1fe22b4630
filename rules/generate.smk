"""From generators to a filtered synthetic set: sample, score, filter."""


rule sample:
    input:
        adapters=paths.own_adapters,
        donors=paths.donor_adapters,
        weights=paths.weights("diffusion"),
    output:
        samples="results/{dataset}/{scope}/{method}/samples/{group}.parquet",
    log:
        "results/logs/{dataset}/{scope}/{method}/samples/{group}.log",
    benchmark:
        "results/benchmarks/{dataset}/{scope}/{method}/samples/{group}.tsv"
    conda:
        "../envs/generate.yaml"
    threads: config["threads"]
    resources:
        gpu=paths.gpus,
        mem_mb=grows(24000),
        runtime=grows(120),
    params:
        settings=settings("sample"),
        code=code("sample"),
        lineage=lineage("sample"),
    shell:
        "python -m fairgen.sample --settings {params.settings:q} --adapters {input.adapters} --donors {input.donors}"
        " --group {wildcards.group} --samples {output.samples} --gpu {resources.gpu} --lineage {params.lineage:q} --log {log}"


rule score:
    input:
        samples=paths.samples,
        weights=paths.weights("score"),
    output:
        scores="results/{dataset}/{scope}/{method}/scores.parquet",
    log:
        "results/logs/{dataset}/{scope}/{method}/score.log",
    benchmark:
        "results/benchmarks/{dataset}/{scope}/{method}/score.tsv"
    conda:
        "../envs/generate.yaml"
    threads: config["threads"]
    resources:
        gpu=paths.gpus,
        mem_mb=grows(16000),
        runtime=grows(30),
    params:
        settings=settings("score"),
        code=code("score"),
        lineage=lineage("score"),
    shell:
        "python -m fairgen.score --settings {params.settings:q} --samples {input.samples}"
        " --scores {output.scores} --gpu {resources.gpu} --lineage {params.lineage:q} --log {log}"


rule filter:
    input:
        scores=paths.at("score", "scores.parquet"),
        split=paths.proportions,
    output:
        selection="results/{dataset}/{scope}/{method}/selection.parquet",
    log:
        "results/logs/{dataset}/{scope}/{method}/filter.log",
    benchmark:
        "results/benchmarks/{dataset}/{scope}/{method}/filter.tsv"
    conda:
        "../envs/generate.yaml"
    params:
        settings=settings("filter"),
        code=code("filter"),
        lineage=lineage("filter"),
    shell:
        "python -m fairgen.filter --settings {params.settings:q} --scores {input.scores}"
        " --split {input.split} --selection {output.selection} --lineage {params.lineage:q} --log {log}"
