"""The command `keras-contrastive`: from a folder of images to a deployed encoder."""
