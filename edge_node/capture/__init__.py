"""Each source is decoded once; the newest frames stand in shared memory for as many pipelines as want them."""
