"""From clusters to a filtered synthetic set: cluster, prior, adapt, sample, score, filter."""


rule cluster:
    input:
        split="results/{dataset}/{scope}/split.parquet",
        embeddings="results/{dataset}/embeddings.parquet",
    output:
        clusters="results/{dataset}/{scope}/{method}/clusters.parquet",
    log:
        "results/logs/{dataset}/{scope}/{method}/cluster.log",
    benchmark:
        "results/benchmarks/{dataset}/{scope}/{method}/cluster.tsv"
    conda:
        "../envs/generate.yaml"
    params:
        settings=settings("cluster"),
        code=code("cluster"),
    shell:
        "python -m fairgen.cluster --settings {params.settings:q} --split {input.split}"
        " --embeddings {input.embeddings} --clusters {output.clusters} --log {log}"


rule prior:
    input:
        weights=weights("diffusion", None),
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
        gpu=gpus,
    params:
        settings=settings("prior"),
        code=code("prior"),
    shell:
        "python -m fairgen.prior --settings {params.settings:q} --group {wildcards.group}"
        " --prior {output.prior} --log {log}"


rule adapt:
    input:
        clusters=at("cluster", "clusters.parquet"),
        split="results/{dataset}/{scope}/split.parquet",
        prior=prior_images,
        weights=weights("diffusion", None),
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
        gpu=gpus,
    params:
        settings=settings("adapt"),
        code=code("adapt"),
    shell:
        "python -m fairgen.adapt --settings {params.settings:q} --clusters {input.clusters} --split {input.split}"
        " --prior {input.prior} --group {wildcards.group} --cluster {wildcards.cluster}"
        " --adapter {output.adapter} --log {log}"


rule sample:
    input:
        adapters=own_adapters,
        donors=donor_adapters,
        weights=weights("diffusion", None),
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
        gpu=gpus,
    params:
        settings=settings("sample"),
        code=code("sample"),
    shell:
        "python -m fairgen.sample --settings {params.settings:q} --adapters {input.adapters} --donors {input.donors}"
        " --group {wildcards.group} --samples {output.samples} --log {log}"


rule score:
    input:
        samples=all_samples,
        weights=weights("score", None),
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
        gpu=gpus,
    params:
        settings=settings("score"),
        code=code("score"),
    shell:
        "python -m fairgen.score --settings {params.settings:q} --samples {input.samples}"
        " --scores {output.scores} --log {log}"


rule filter:
    input:
        scores=at("score", "scores.parquet"),
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
        " --selection {output.selection} --log {log}"
