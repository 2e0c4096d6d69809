"""vdenet: one Ethernet segment for the guests of every hypervisor on a machine."""

__version__ = "0.1.0"
