"""Fuzzing of every parser: `targets.py` says what is fuzzed, `corpus/` keeps what was found worth keeping.

    python -m tests.fuzz --list              the targets
    python -m tests.fuzz envelope -runs=100000    one, with coverage (make fuzz sets up atheris)

`tests/unit/test_fuzz.py` runs every target over its corpus and over what hypothesis makes of it, in every test run.
"""
