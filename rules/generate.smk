"""From clusters to a filtered synthetic set: prior, adapt, sample, score, filter."""


rule prior:
    input:
        weights=paths.weights("diffusion"),
    output:
        prior="results/{dataset}/prior/{group}.parquet",
    log:
        "results/logs/{dataset}/prior/{group}.log",
    benchmark:
        "results/benchmarks/{dataset}/prior/{group}.tsv"
    conda:
        "../envs/generate.yaml"
    threads: config["threads"]
    resources:
        gpu=paths.gpus,
    params:
        settings=settings("prior"),
        code=code("prior"),
    shell:
        "python -m fairgen.prior --settings {params.settings:q} --group {wildcards.group}"
        " --prior {output.prior} --gpu {resources.gpu} --log {log}"


rule adapt:
    input:
        clusters=paths.at("cluster", "clusters.parquet"),
        split="results/{dataset}/{scope}/split.parquet",
        prior=paths.prior_images,
        weights=paths.weights("diffusion"),
    output:
        adapter="results/{dataset}/{scope}/{method}/adapters/{group}/{cluster}.safetensors",
    log:
        "results/logs/{dataset}/{scope}/{method}/adapters/{group}/{cluster}.log",
    benchmark:
        "results/benchmarks/{dataset}/{scope}/{method}/adapters/{group}/{cluster}.tsv"
    conda:
        "../envs/generate.yaml"
    threads: config["threads"]
    resources:
        gpu=paths.gpus,
    params:
        settings=settings("adapt"),
        code=code("adapt"),
    shell:
        "python -m fairgen.adapt --settings {params.settings:q} --clusters {input.clusters} --split {input.split}"
        " --prior {input.prior} --group {wildcards.group} --cluster {wildcards.cluster}"
        " --adapter {output.adapter} --gpu {resources.gpu} --log {log}"


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
    params:
        settings=settings("sample"),
        code=code("sample"),
    shell:
        "python -m fairgen.sample --settings {params.settings:q} --adapters {input.adapters} --donors {input.donors}"
        " --group {wildcards.group} --samples {output.samples} --gpu {resources.gpu} --log {log}"


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
    params:
        settings=settings("score"),
        code=code("score"),
    shell:
        "python -m fairgen.score --settings {params.settings:q} --samples {input.samples}"
        " --scores {output.scores} --gpu {resources.gpu} --log {log}"


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
    shell:
        "python -m fairgen.filter --settings {params.settings:q} --scores {input.scores}"
        " --split {input.split} --selection {output.selection} --log {log}"
