"""From a frame to an answer: preprocessing, engine, postprocessing, and the proof that it is the right one."""
