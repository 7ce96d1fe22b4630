"""From the user's files to clusters of the training rows: draw, index, decode, split, embed, cluster."""
