"""Literal reference paths: what the published codes do, written plainly from descriptions, without our savings."""
