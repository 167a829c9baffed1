"""`python -m services.dataprep` runs the dataprep service."""

from services.core.serve import serve
from services.dataprep.app import create
from services.dataprep.settings import SERVICE, Settings

if __name__ == "__main__":
    settings = Settings.load()
    serve(SERVICE, settings, create(settings), port=settings.port)
