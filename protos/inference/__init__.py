"""The Open Inference Protocol v2: generated messages, and the names of its datatypes."""
