"""`python -m keras_contrastive.zoo`: the same as `keras-contrastive zoo`."""

import sys

from keras_contrastive.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["zoo", *sys.argv[1:]]))
