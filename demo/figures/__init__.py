"""What the manuals show: one module a family, each with the files it draws and the functions that draw them."""
