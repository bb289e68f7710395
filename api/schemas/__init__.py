"""The shapes of docs/http-api.md: what goes in and what comes out, as pydantic models."""
