"""Pure: text in, facts out; facts in, text or argument lists out."""
