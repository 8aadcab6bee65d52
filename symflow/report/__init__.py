"""What symflow found, as text, JSON and files."""
