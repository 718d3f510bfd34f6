"""A server that answers each connection with what it was sent, in capitals, and a client for it.

`shout serve PORT COUNT` ends after COUNT connections; `shout send PORT TEXT` prints the answer.
"""

import sys

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import environment, instance_network, tcp_create_socket
from wit_world.imports.network import ErrorCode, IpAddressFamily, IpSocketAddress_Ipv4, Ipv4SocketAddress
from wit_world.imports.tcp import ShutdownType


def address(port: int) -> IpSocketAddress_Ipv4:
    return IpSocketAddress_Ipv4(Ipv4SocketAddress(port, (127, 0, 0, 1)))


def finish(socket, step):
    """Waits for what was started on a socket."""
    while True:
        try:
            return step()
        except Err as error:
            if error.value != ErrorCode.WOULD_BLOCK:
                raise
        with socket.subscribe() as ready:
            ready.block()


def parts(stream):
    """The parts that come, until the end."""
    while True:
        try:
            yield stream.blocking_read(4096)
        except Err:
            return


def serve(port: int, count: int) -> None:
    socket = tcp_create_socket.create_tcp_socket(IpAddressFamily.IPV4)
    socket.start_bind(instance_network.instance_network(), address(port))
    finish(socket, socket.finish_bind)
    socket.start_listen()
    finish(socket, socket.finish_listen)
    print("listening on port", socket.local_address().value.port, flush=True)
    for _ in range(count):
        connection, reader, writer = finish(socket, socket.accept)
        # The streams belong to the connection: they go first.
        with connection, reader, writer:
            for part in parts(reader):
                writer.blocking_write_and_flush(part.upper())


def send(port: int, text: str) -> None:
    socket = tcp_create_socket.create_tcp_socket(IpAddressFamily.IPV4)
    socket.start_connect(instance_network.instance_network(), address(port))
    reader, writer = finish(socket, socket.finish_connect)
    with socket, reader, writer:
        writer.blocking_write_and_flush(text.encode())
        socket.shutdown(ShutdownType.SEND)
        print(b"".join(parts(reader)).decode(errors="replace"))


class Run(exports.Run):
    def run(self) -> None:
        try:
            match environment.get_arguments()[1:]:
                case ["serve", port, count]:
                    serve(int(port), int(count))
                case ["send", port, text]:
                    send(int(port), text)
                case _:
                    print("usage: shout serve PORT COUNT | shout send PORT TEXT", file=sys.stderr)
                    raise Err(None)
        except Err as error:
            if error.value is not None:
                print("shout:", error.value.name.lower().replace("_", "-"), file=sys.stderr)
            raise Err(None)
