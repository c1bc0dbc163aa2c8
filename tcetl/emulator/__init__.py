"""A stateful local ThreatConnect, written from the API contract alone.

The docstrings cite the contract as "api §…"; what the contract leaves open is marked "assumed".
"""

from tcetl.emulator.handle import Emulator, EmulatorError, run_emulator

__all__ = ["Emulator", "EmulatorError", "run_emulator"]
