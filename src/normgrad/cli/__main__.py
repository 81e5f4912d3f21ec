"""``python -m normgrad.cli``."""

from normgrad.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
