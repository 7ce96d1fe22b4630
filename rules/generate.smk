"""From clusters to generators, and from these to a filtered synthetic set."""


rule prior:
    input:
        weights=paths.weights("diffusion"),
        layout=paths.layout,
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
        mem_mb=grows(24000),
        runtime=grows(60),
    params:
        settings=settings("prior"),
        code=code("prior"),
        lineage=lineage("prior"),
    shell:
        "python -m fairgen.generate.prior --settings {params.settings:q} --group {wildcards.group}"
        " --prior {output.prior} --gpu {resources.gpu}"
        " --watched {input.layout:q} {input.weights:q} --lineage {params.lineage:q} --log {log}"


rule adapt:
    input:
        clusters=paths.at("cluster", "clusters.parquet"),
        split="results/{dataset}/{scope}/split.parquet",
        prior=paths.prior_images,
        weights=paths.weights("diffusion"),
        layout=paths.layout,
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
        mem_mb=grows(24000),
        runtime=grows(240, together),
        together=together,
    params:
        settings=settings("adapt"),
        code=code("adapt"),
        lineage=lineage("adapt", cluster=paths.slots),
    shell:
        "python -m fairgen.generate.adapt --settings {params.settings:q} --clusters {input.clusters} --split {input.split}"
        " --prior {input.prior} --group {wildcards.group} --cluster {wildcards.cluster} --together {resources.together}"
        " --adapter {output.adapter} --gpu {resources.gpu}"
        " --watched {input.layout:q} {input.weights:q} --lineage {params.lineage:q} --log {log}"


rule adapt_shared:
    input:
        clusters=paths.at("cluster", "clusters.parquet"),
        split="results/{dataset}/{scope}/split.parquet",
        prior=paths.prior_images,
        weights=paths.weights("diffusion"),
        layout=paths.layout,
    output:
        adapters="results/{dataset}/{scope}/{method}/adapters/{group}.safetensors",
    log:
        "results/logs/{dataset}/{scope}/{method}/adapters/{group}.log",
    benchmark:
        "results/benchmarks/{dataset}/{scope}/{method}/adapters/{group}.tsv"
    conda:
        "../envs/generate.yaml"
    threads: config["threads"]
    resources:
        gpu=paths.gpus,
        mem_mb=grows(24000),
        runtime=grows(480),
    params:
        settings=settings("adapt_shared"),
        code=code("adapt_shared"),
        lineage=lineage("adapt_shared"),
    shell:
        "python -m fairgen.generate.adapt_shared --settings {params.settings:q} --clusters {input.clusters} --split {input.split}"
        " --prior {input.prior} --group {wildcards.group}"
        " --adapters {output.adapters} --gpu {resources.gpu}"
        " --watched {input.layout:q} {input.weights:q} --lineage {params.lineage:q} --log {log}"


rule sample:
    input:
        adapters=paths.own_adapters,
        donors=paths.donor_adapters,
        weights=paths.weights("diffusion"),
        layout=paths.layout,
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
        "python -m fairgen.generate.sample --settings {params.settings:q} --adapters {input.adapters} --donors {input.donors}"
        " --group {wildcards.group} --samples {output.samples} --gpu {resources.gpu}"
        " --watched {input.layout:q} {input.weights:q} --lineage {params.lineage:q} --log {log}"


rule score:
    input:
        samples=paths.samples,
        weights=paths.weights("score", "model"),
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
        "python -m fairgen.generate.score --settings {params.settings:q} --samples {input.samples}"
        " --scores {output.scores} --gpu {resources.gpu} --watched {input.weights:q} --lineage {params.lineage:q} --log {log}"


rule score_second:
    input:
        samples=paths.samples,
        weights=paths.weights("score", "second"),
    output:
        scores="results/{dataset}/{scope}/{method}/scores_second.parquet",
    log:
        "results/logs/{dataset}/{scope}/{method}/score_second.log",
    benchmark:
        "results/benchmarks/{dataset}/{scope}/{method}/score_second.tsv"
    conda:
        "../envs/generate.yaml"
    threads: config["threads"]
    resources:
        gpu=paths.gpus,
        mem_mb=grows(16000),
        runtime=grows(30),
    params:
        settings=settings("score_second"),
        code=code("score_second"),
        lineage=lineage("score_second"),
    shell:
        "python -m fairgen.generate.score_second --settings {params.settings:q} --samples {input.samples}"
        " --scores {output.scores} --gpu {resources.gpu} --watched {input.weights:q} --lineage {params.lineage:q} --log {log}"


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
        "python -m fairgen.generate.filter --settings {params.settings:q} --scores {input.scores}"
        " --split {input.split} --selection {output.selection} --lineage {params.lineage:q} --log {log}"
