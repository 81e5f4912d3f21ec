"""The names under which other libraries have these norms."""
