"""vdenetd: the privileged side of the control socket."""
