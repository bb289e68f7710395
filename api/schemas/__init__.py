"""The requests and answers of docs/http-api.md as pydantic models: `…In` and `…Query` go in, `…Out` goes out."""
