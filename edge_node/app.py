"""The agent's composition root: the one place where its parts are put together."""
