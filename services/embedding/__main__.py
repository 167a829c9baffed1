"""`python -m services.embedding` runs the embedding service."""

from services.core.serve import serve
from services.embedding.app import SERVICE, create
from services.embedding.settings import Settings

if __name__ == "__main__":
    settings = Settings.load()
    serve(SERVICE, settings, create(settings), port=settings.port)
