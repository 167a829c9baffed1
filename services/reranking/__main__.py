"""`python -m services.reranking` runs the reranking service."""

from services.core.serve import serve
from services.reranking.app import SERVICE, create
from services.reranking.settings import Settings

if __name__ == "__main__":
    settings = Settings.load()
    serve(SERVICE, settings, create(settings), port=settings.port)
