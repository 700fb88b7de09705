"""Coefficients over OSC, and a program that receives them: here both in one, on this machine.

What sends may as well be another machine: ``rtrecon run --out osc://192.168.1.20:9000``.
All addresses: docs/avatars.md.

Install:  pip install 'rtrecon[cpu]' python-osc
Run:      python osc_receiver.py [SOURCE] [PORT]
"""

import sys
import threading

from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import BlockingOSCUDPServer

import rtrecon

source = sys.argv[1] if len(sys.argv) > 1 else 0
port = int(sys.argv[2]) if len(sys.argv) > 2 else 9000


def on_message(address: str, *values: float) -> None:
    """Called for each message that the dispatcher is told of."""
    print(address, *(f"{value:.2f}" for value in values))


dispatcher = Dispatcher()
for address in ("/rtrecon/jawOpen", "/rtrecon/head/rotation"):
    dispatcher.map(address, on_message)
server = BlockingOSCUDPServer(("127.0.0.1", port), dispatcher)
threading.Thread(target=server.serve_forever, daemon=True).start()
with rtrecon.live(source, outputs=[f"osc://127.0.0.1:{port}"]) as session:
    session.wait()
server.shutdown()
