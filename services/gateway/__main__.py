from services.core.serve import serve
from services.gateway.app import create
from services.gateway.settings import Settings

if __name__ == "__main__":
    settings = Settings.load()
    serve("gateway", settings, create(settings), port=settings.port)
