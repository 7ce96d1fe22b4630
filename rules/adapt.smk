"""From clusters to generators: prior, and adapt or adapt_shared."""


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
        mem_mb=grows(24000),
        runtime=grows(60),
    params:
        settings=settings("prior"),
        code=code("prior"),
        lineage=lineage("prior"),
    shell:
        "python -m fairgen.prior --settings {params.settings:q} --group {wildcards.group}"
        " --prior {output.prior} --gpu {resources.gpu} --lineage {params.lineage:q} --log {log}"


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
        mem_mb=grows(24000),
        runtime=grows(240),
    params:
        settings=settings("adapt"),
        code=code("adapt"),
        lineage=lineage("adapt"),
    shell:
        "python -m fairgen.adapt --settings {params.settings:q} --clusters {input.clusters} --split {input.split}"
        " --prior {input.prior} --group {wildcards.group} --cluster {wildcards.cluster}"
        " --adapter {output.adapter} --gpu {resources.gpu} --lineage {params.lineage:q} --log {log}"


rule adapt_shared:
    input:
        clusters=paths.at("cluster", "clusters.parquet"),
        split="results/{dataset}/{scope}/split.parquet",
        prior=paths.prior_images,
        weights=paths.weights("diffusion"),
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
        "python -m fairgen.adapt_shared --settings {params.settings:q} --clusters {input.clusters} --split {input.split}"
        " --prior {input.prior} --group {wildcards.group}"
        " --adapters {output.adapters} --gpu {resources.gpu} --lineage {params.lineage:q} --log {log}"
