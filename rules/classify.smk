"""The classifier: pretrain on the synthetic set, finetune on the real one."""


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
        "python -m fairgen.classify.pretrain --settings {params.settings:q} --selection {input.selection}"
        " --extra {input.extra} --seed {wildcards.seed} --weights {output.weights} --gpu {resources.gpu}"
        " --watched {input.backbone:q} --lineage {params.lineage:q} --log {log}"


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
        "python -m fairgen.classify.finetune --settings {params.settings:q} --split {input.split} --pixels {input.pixels}"
        " --weights {input.weights} --selection {input.selection} --seed {wildcards.seed}"
        " --model {output.model} --predictions {output.predictions} --gpu {resources.gpu}"
        " --watched {input.backbone:q} --lineage {params.lineage:q} --log {log}"
