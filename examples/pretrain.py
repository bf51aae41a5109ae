"""`keras-contrastive pretrain` from a checkout, without installing the package.

python examples/pretrain.py --recipe=byol_small --dataset=fashion_mnist
python examples/pretrain.py --help
"""

import sys

from keras_contrastive.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["pretrain", *sys.argv[1:]]))
