"""Parts that test modules share: data, drivers and oracles. Fixtures are in ``conftest.py``."""
