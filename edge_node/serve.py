"""The composition root of `edge-node serve`: models from files, a worker, the serving process; no coordinator."""
