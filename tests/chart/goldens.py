"""Write the committed renderings anew: `make chart-goldens`."""

from __future__ import annotations

import os

from tests.chart.conftest import GOLDENS, ROOT, VALUES, Helm

if __name__ == "__main__":
    helm = Helm(os.environ.get("HELM") or str(ROOT / "build" / "tools" / "helm"))
    for name in VALUES:
        (GOLDENS / f"{name}.yaml").write_text(helm.text(name))
        print(GOLDENS / f"{name}.yaml")
