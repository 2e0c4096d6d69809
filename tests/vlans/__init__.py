"""VLANs on Debian's own kernel: the one suite that needs a bridge that keeps them apart."""
