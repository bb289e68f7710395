from __future__ import annotations

import subprocess
import sys

from core.settings import PROJECT

PRINT_SENDERS = """
import sys
import classifier.runtime_openvino
import nncf
from openvino.tools.ovc import convert_impl, telemetry_utils
print(convert_impl.tm.__name__, telemetry_utils.tm.__name__)
print([name for name, module in sys.modules.items() if name.startswith("openvino_telemetry") and module])
"""


def test_openvino_and_nncf_can_send_no_usage_data() -> None:
    # A process of its own, because nncf sends nothing where pytest is imported.
    command = [sys.executable, "-c", PRINT_SENDERS]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    stub = "openvino.tools.ovc.telemetry_stub"
    assert done.stdout.splitlines() == [f"{stub} {stub}", "[]"]
