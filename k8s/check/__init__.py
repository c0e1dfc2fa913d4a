"""Checks of the manifests: every overlay is rendered, validated against schemas, and held to rules of our own."""
