"""tarr-steps: the unprivileged side of the control socket."""
