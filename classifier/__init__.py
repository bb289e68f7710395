"""Models, their runtimes and their training."""

import sys

# OpenVINO and nncf send usage data to their makers, from a process that they fork, on import and with each conversion.
# They leave it out if this package cannot be imported.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
