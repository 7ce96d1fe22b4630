"""What people look at: figures, pages, check."""
