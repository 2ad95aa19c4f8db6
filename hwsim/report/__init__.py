"""Reports of estimates: terminal tables, HTML, JSON, trace events, data frames."""
