"""A lane: the way of tensors between the serving process and a session in a worker, through shared memory."""
