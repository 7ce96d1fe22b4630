"""The classifier: decode the real images, pretrain on the synthetic set, finetune on the real one, metrics of its predictions."""


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
        "python -m fairgen.decode --settings {params.settings:q} --index {input.index} --drawings {input.drawings}"
        " --resolution {wildcards.resolution} --workers {threads} --pixels {output.pixels}"
        " --lineage {params.lineage:q} --log {log}"


rule pretrain:
    input:
        selection=paths.drawn(paths.at("filter", "selection.parquet")),
        samples=paths.drawn(paths.samples),
        extra=paths.extra,
        backbone=paths.backbone,
    output:
        weights="results/{dataset}/{scope}/{method}/pretrain/seed-{seed}.safetensors",
    log:
        "results/logs/{dataset}/{scope}/{method}/pretrain/seed-{seed}.log",
    benchmark:
        "results/benchmarks/{dataset}/{scope}/{method}/pretrain/seed-{seed}.tsv"
    conda:
        "../envs/classify.yaml"
    threads: config["threads"]
    resources:
        gpu=paths.gpus,
        mem_mb=grows(16000),
        runtime=grows(120),
    params:
        settings=settings("pretrain"),
        code=code("pretrain"),
        lineage=lineage("pretrain"),
    shell:
        "python -m fairgen.pretrain --settings {params.settings:q} --selection {input.selection}"
        " --extra {input.extra} --seed {wildcards.seed} --weights {output.weights} --gpu {resources.gpu} --lineage {params.lineage:q} --log {log}"


rule finetune:
    input:
        split="results/{dataset}/{scope}/split.parquet",
        pixels=paths.pixels,
        weights=paths.trained,
        backbone=paths.backbone,
        selection=paths.mixed(paths.at("filter", "selection.parquet")),
        samples=paths.mixed(paths.samples),
    output:
        model="results/{dataset}/{scope}/{method}/seed-{seed}/model.safetensors",
        predictions="results/{dataset}/{scope}/{method}/seed-{seed}/predictions.parquet",
    log:
        "results/logs/{dataset}/{scope}/{method}/seed-{seed}/finetune.log",
    benchmark:
        "results/benchmarks/{dataset}/{scope}/{method}/seed-{seed}/finetune.tsv"
    conda:
        "../envs/classify.yaml"
    threads: config["threads"]
    resources:
        gpu=paths.gpus,
        mem_mb=grows(16000),
        runtime=grows(120),
    params:
        settings=settings("finetune"),
        code=code("finetune", learner),
        lineage=lineage("finetune"),
    shell:
        "python -m fairgen.finetune --settings {params.settings:q} --split {input.split} --pixels {input.pixels}"
        " --weights {input.weights} --selection {input.selection} --seed {wildcards.seed}"
        " --model {output.model} --predictions {output.predictions} --gpu {resources.gpu} --lineage {params.lineage:q} --log {log}"


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
        "python -m fairgen.metrics --settings {params.settings:q} --predictions {input.predictions}"
        " --split {input.split} --metrics {output.metrics} --lineage {params.lineage:q} --log {log}"
