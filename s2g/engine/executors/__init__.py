"""Where units are computed."""
