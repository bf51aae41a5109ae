"""Deployment: small, self-contained artefacts that are proven equal to the encoder."""

from keras_contrastive.export.parity_report import ParityReport
from keras_contrastive.export.to_onnx import to_onnx
from keras_contrastive.export.to_openvino import to_openvino
from keras_contrastive.export.to_saved_model import to_saved_model
from keras_contrastive.export.to_tflite import to_tflite
from keras_contrastive.export.verify import verify

__all__ = [
    "ParityReport",
    "to_onnx",
    "to_openvino",
    "to_saved_model",
    "to_tflite",
    "verify",
]
