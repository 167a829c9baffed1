"""`python -m services.embedding` runs the embedding service."""

from services.core.serve import serve
from services.embedding.app import create
from services.embedding.call import SERVICE
from services.embedding.settings import Settings

if __name__ == "__main__":
    settings = Settings.load()
    serve(SERVICE, settings, create(settings), port=settings.port)
