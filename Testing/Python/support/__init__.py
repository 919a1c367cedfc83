"""What several test modules share: data, drivers and oracles, as plain functions. Fixtures are in ``conftest.py``."""
