"""`python -m keras_contrastive`: the command `keras-contrastive`."""

import sys

from keras_contrastive.cli.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
