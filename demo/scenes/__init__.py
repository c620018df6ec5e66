"""What the plant's cameras look at: one module a family, drawn on a canvas and then photographed."""
