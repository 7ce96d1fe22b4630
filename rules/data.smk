"""From the user's files to biased splits and features: draw, index, split, embed."""


rule draw:
    output:
        drawings="results/{dataset}/drawings.parquet",
    log:
        "results/logs/{dataset}/draw.log",
    benchmark:
        "results/benchmarks/{dataset}/draw.tsv"
    conda:
        "../envs/data.yaml"
    params:
        settings=settings("draw"),
        code=code("draw"),
    shell:
        "python -m fairgen.draw --settings {params.settings:q} --drawings {output.drawings} --log {log}"


rule index:
    input:
        drawings=drawings,
    output:
        index="results/{dataset}/index.parquet",
        rejects="results/{dataset}/rejects.parquet",
    log:
        "results/logs/{dataset}/index.log",
    benchmark:
        "results/benchmarks/{dataset}/index.tsv"
    conda:
        "../envs/data.yaml"
    params:
        settings=settings("index"),
        code=code("index", reader),
    shell:
        "python -m fairgen.index --settings {params.settings:q} --drawings {input.drawings}"
        " --index {output.index} --rejects {output.rejects} --log {log}"


rule split:
    input:
        index="results/{dataset}/index.parquet",
    output:
        split="results/{dataset}/{scope}/split.parquet",
    log:
        "results/logs/{dataset}/{scope}/split.log",
    benchmark:
        "results/benchmarks/{dataset}/{scope}/split.tsv"
    conda:
        "../envs/data.yaml"
    params:
        settings=settings("split"),
        code=code("split"),
    shell:
        "python -m fairgen.split --settings {params.settings:q} --index {input.index} --scope {wildcards.scope}"
        " --split {output.split} --log {log}"


rule embed:
    input:
        index="results/{dataset}/index.parquet",
        weights=weights("embed", "encoder"),
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
        gpu=gpus,
    params:
        settings=settings("embed"),
        code=code("embed"),
    shell:
        "python -m fairgen.embed --settings {params.settings:q} --index {input.index}"
        " --embeddings {output.embeddings} --log {log}"
