"""From a trained model to a Triton repository: ONNX graphs, the parity gate, the repository's texts."""
