"""A Report as text for a terminal, JSON, SARIF or one HTML page. Nothing here prints."""
