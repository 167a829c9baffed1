"""`python -m services.generation` runs the generation service."""

import sys

from services.core.serve import serve
from services.generation.app import create
from services.generation.completion import SERVICE
from services.generation.configuration import BadEntries
from services.generation.settings import Settings

if __name__ == "__main__":
    settings = Settings.load()
    try:
        app = create(settings)
    except BadEntries as error:
        print(error.message, file=sys.stderr)
        raise SystemExit(2) from None
    serve(SERVICE, settings, app, port=settings.port)
