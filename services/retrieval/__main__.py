"""`python -m services.retrieval` runs the retrieval service."""

from services.core.serve import serve
from services.retrieval.app import SERVICE, create
from services.retrieval.settings import Settings

if __name__ == "__main__":
    settings = Settings.load()
    serve(SERVICE, settings, create(settings), port=settings.port)
