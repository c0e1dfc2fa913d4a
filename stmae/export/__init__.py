"""Export: a trained model as ONNX graphs, with a golden segment to check them."""
