"""From the user's files to clusters of the biased training rows, and their images decoded once.

What can find a fault of the data and is cheap goes before all else that could run: `priority`.
"""


rule draw:
    output:
        drawings="results/{dataset}/drawings.parquet",
    log:
        "results/logs/{dataset}/draw.log",
    benchmark:
        "results/benchmarks/{dataset}/draw.tsv"
    priority: 1
    conda:
        "../envs/data.yaml"
    params:
        settings=settings("draw"),
        code=code("draw"),
        lineage=lineage("draw"),
    shell:
        "python -m fairgen.data.draw --settings {params.settings:q} --drawings {output.drawings} --lineage {params.lineage:q} --log {log}"


rule index:
    input:
        drawings=paths.drawings,
    output:
        index="results/{dataset}/index.parquet",
        rejects="results/{dataset}/rejects.parquet",
        audit="results/{dataset}/audit.json",
        page="results/{dataset}/audit.md",
    log:
        "results/logs/{dataset}/index.log",
    benchmark:
        "results/benchmarks/{dataset}/index.tsv"
    priority: 1
    conda:
        "../envs/data.yaml"
    threads: 8
    resources:
        mem_mb=grows(16000),
        runtime=grows(120),
    params:
        settings=settings("index"),
        code=code("index", reader),
        lineage=lineage("index"),
    shell:
        "python -m fairgen.data.index --settings {params.settings:q} --drawings {input.drawings}"
        " --workers {threads} --index {output.index} --rejects {output.rejects} --audit {output.audit}"
        " --page {output.page} --lineage {params.lineage:q} --log {log}"


rule decode:
    input:
        index="results/{dataset}/index.parquet",
        drawings=paths.drawings,
    output:
        pixels="results/{dataset}/pixels/{resolution}.safetensors",
    log:
        "results/logs/{dataset}/pixels/{resolution}.log",
    benchmark:
        "results/benchmarks/{dataset}/pixels/{resolution}.tsv"
    conda:
        "../envs/data.yaml"
    threads: 8
    resources:
        mem_mb=grows(4000),
        runtime=grows(120),
    params:
        settings=settings("decode"),
        code=code("decode"),
        lineage=lineage("decode"),
    shell:
        "python -m fairgen.data.decode --settings {params.settings:q} --index {input.index} --drawings {input.drawings}"
        " --resolution {wildcards.resolution} --workers {threads} --pixels {output.pixels}"
        " --lineage {params.lineage:q} --log {log}"


rule split:
    input:
        index="results/{dataset}/index.parquet",
    output:
        split="results/{dataset}/{scope}/split.parquet",
    log:
        "results/logs/{dataset}/{scope}/split.log",
    benchmark:
        "results/benchmarks/{dataset}/{scope}/split.tsv"
    priority: 1
    conda:
        "../envs/data.yaml"
    params:
        settings=settings("split"),
        code=code("split"),
        lineage=lineage("split"),
    shell:
        "python -m fairgen.data.split --settings {params.settings:q} --index {input.index} --scope {wildcards.scope}"
        " --split {output.split} --lineage {params.lineage:q} --log {log}"


rule embed:
    input:
        index="results/{dataset}/index.parquet",
        weights=paths.weights("embed", "encoder"),
    output:
        embeddings="results/{dataset}/embeddings.parquet",
    log:
        "results/logs/{dataset}/embed.log",
    benchmark:
        "results/benchmarks/{dataset}/embed.tsv"
    conda:
        "../envs/generate.yaml"
    threads: config["threads"]
    resources:
        gpu=paths.gpus,
        mem_mb=grows(16000),
        runtime=grows(60),
    params:
        settings=settings("embed"),
        code=code("embed"),
        lineage=lineage("embed"),
    shell:
        "python -m fairgen.data.embed --settings {params.settings:q} --index {input.index}"
        " --embeddings {output.embeddings} --gpu {resources.gpu} --watched {input.weights:q} --lineage {params.lineage:q} --log {log}"


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
        lineage=lineage("cluster"),
    shell:
        "python -m fairgen.data.cluster --settings {params.settings:q} --split {input.split}"
        " --embeddings {input.embeddings} --clusters {output.clusters} --lineage {params.lineage:q} --log {log}"
