"""`python -m crawler JOB WORKER`: see crawler/run.py."""

import sys

from crawler.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
