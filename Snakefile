# fairgen: a group-balanced synthetic set from finetuned diffusion models, and the classifier trained on it.
#
#   results/{dataset}/index.parquet, embeddings.parquet, prior/{group}.parquet      one per data set
#   results/{dataset}/pixels/{resolution}.safetensors                               one per data set and picture size
#   results/{dataset}/{scope}/split.parquet                                         scope = bias-{ratio}, or any
#   results/{dataset}/{scope}/{method}/…                                            one per method that owns the stage
#   results/{dataset}/worst_group.json, figures/, report.html                       the comparison
#   results/{dataset}/audit_synthetic.json, ablations/{ablation}.json               on request
#
#   index ─ embed ─┐
#     ├── split ───┴─ cluster ─ adapt ─ sample ─ score ─ filter ─ pretrain ─ finetune ─ metrics ─ worst_group ─ figures
#     └── decode ───────────────────────────────────────────────────────────────┘
from snakemake.utils import min_version

min_version("9.0")


report: "rules/captions/report.rst"  # what the HTML report opens with


include: "rules/common.smk"  # reads config.yaml, and the working folder's own over it


rule all:
    default_target: True
    input:
        "results/birds/worst_group.json",
        "results/birds/figures/worst_group.png",
        "results/birds/pages/result.html",
        "results/birds/report.html",


include: "rules/data.smk"
include: "rules/generate.smk"
include: "rules/classify.smk"
include: "rules/evaluate.smk"
include: "rules/report.smk"
