"""Measures what a request costs in a real Envoy, beside no filter and beside Envoy's native equivalents."""
