"""The control socket's messages: framing, checked getters for untrusted JSON, passing of descriptors."""
