"""The coordinator's composition root: the one place where its parts are put together."""
