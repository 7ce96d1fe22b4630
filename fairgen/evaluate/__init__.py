"""What came out: metrics, worst_group, ablation, replicates, and the audits of generated images."""
