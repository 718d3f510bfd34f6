"""Answers `GET /` with a greeting, `POST /shout` with the request's body in capitals, as it comes."""

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports import types
from wit_world.imports.types import (
    Fields,
    IncomingBody,
    IncomingRequest,
    Method_Get,
    Method_Post,
    OutgoingBody,
    OutgoingResponse,
    ResponseOutparam,
)
from wit_world.imports.streams import StreamError_Closed


def answer(out: ResponseOutparam, status: int, parts) -> None:
    response = OutgoingResponse(Fields.from_list([("content-type", b"text/plain")]))
    response.set_status_code(status)
    body = response.body()
    ResponseOutparam.set(out, Ok(response))
    with body.write() as output:
        for part in parts:
            for at in range(0, len(part), 4096):
                output.blocking_write_and_flush(part[at : at + 4096])
    OutgoingBody.finish(body, None)


def capitals(request: IncomingRequest):
    body = request.consume()
    with body.stream() as stream:
        while True:
            try:
                yield stream.blocking_read(65536).upper()
            except Err as error:
                if isinstance(error.value, StreamError_Closed):
                    break
                raise
    IncomingBody.finish(body)


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        match request.method(), request.path_with_query():
            case Method_Get(), "/":
                answer(response_out, 200, [b"Hello from Python\n"])
            case Method_Post(), "/shout":
                answer(response_out, 200, capitals(request))
            case _:
                answer(response_out, 404, [b"not found\n"])
