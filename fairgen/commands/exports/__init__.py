"""What `fairgen export` writes, one module per kind of thing and per layout."""
