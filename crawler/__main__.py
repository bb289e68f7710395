"""`python -m crawler JOB WORKER`: see crawler/process.py."""

import sys

from crawler.process import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
