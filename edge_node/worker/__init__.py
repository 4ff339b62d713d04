"""The process that holds engine sessions and pipelines, and the agent's handle on it."""
