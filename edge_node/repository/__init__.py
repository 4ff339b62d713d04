"""The models that a node serves to clients: found, loaded, proven, swapped, drained."""
