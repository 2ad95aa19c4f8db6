"""Stages whose numbers come from their own closed forms rather than from corrections of the HLS tool's."""
