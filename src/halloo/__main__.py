"""Start the command line: ``python -m halloo``."""

from halloo.cli.main import main

if __name__ == "__main__":
    main()
