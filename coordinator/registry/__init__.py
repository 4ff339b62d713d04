"""Models and their versions: content-addressed blobs and who is called what."""
