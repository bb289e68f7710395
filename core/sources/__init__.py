"""Readers for archives of pictures and for manifests. They hold only a small part of a file in memory."""
