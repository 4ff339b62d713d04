"""REST: paths, JSON and the binary tensor extension, turned into what `Serving` takes and gives."""
