// Answers `GET /` with a greeting, `POST /shout` with the request's body in capitals, as it comes.
//
// `handler.h` is what `wit-bindgen c` makes of the world `handler`.
#include "handler.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef wasi_http_types_own_incoming_request_t incoming_request;
typedef wasi_http_types_own_response_outparam_t response_outparam;
typedef wasi_http_types_own_outgoing_body_t outgoing_body;
typedef wasi_http_types_own_output_stream_t output_stream;

static void require(bool ok) {
    if (!ok)
        abort();
}

// Sends a response that begins with `status`; its body is still to be written.
static outgoing_body begin(response_outparam out, uint16_t status) {
    wasi_http_types_own_fields_t headers = wasi_http_types_constructor_fields();
    wasi_http_types_field_name_t name;
    wasi_http_types_field_value_t value = {(uint8_t *)"text/plain", 10};
    wasi_http_types_header_error_t fault;
    handler_string_set(&name, "content-type");
    require(wasi_http_types_method_fields_append(wasi_http_types_borrow_fields(headers), &name, &value, &fault));
    wasi_http_types_result_own_outgoing_response_error_code_t response = {.is_err = false};
    response.val.ok = wasi_http_types_constructor_outgoing_response(headers);
    wasi_http_types_borrow_outgoing_response_t self = wasi_http_types_borrow_outgoing_response(response.val.ok);
    outgoing_body body;
    require(wasi_http_types_method_outgoing_response_set_status_code(self, status));
    require(wasi_http_types_method_outgoing_response_body(self, &body));
    wasi_http_types_static_response_outparam_set(out, &response);
    return body;
}

// A client that went away gets no more.
static void write_all(output_stream output, uint8_t *bytes, size_t length) {
    while (length > 0) {
        handler_list_u8_t part = {bytes, length < 4096 ? length : 4096};
        wasi_io_streams_stream_error_t error;
        bytes += part.len;
        length -= part.len;
        if (!wasi_io_streams_method_output_stream_blocking_write_and_flush(
                wasi_io_streams_borrow_output_stream(output), &part, &error)) {
            wasi_io_streams_stream_error_free(&error);
            return;
        }
    }
}

static output_stream stream_of(outgoing_body body) {
    output_stream output;
    require(wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body), &output));
    return output;
}

static void end(outgoing_body body, output_stream output) {
    wasi_http_types_error_code_t code;
    wasi_io_streams_output_stream_drop_own(output);
    if (!wasi_http_types_static_outgoing_body_finish(body, NULL, &code))
        wasi_http_types_error_code_free(&code);
}

static void answer(response_outparam out, uint16_t status, char *text) {
    outgoing_body body = begin(out, status);
    output_stream output = stream_of(body);
    write_all(output, (uint8_t *)text, strlen(text));
    end(body, output);
}

static void shout(incoming_request request, response_outparam out) {
    wasi_http_types_own_incoming_body_t from;
    wasi_http_types_own_input_stream_t input;
    require(wasi_http_types_method_incoming_request_consume(wasi_http_types_borrow_incoming_request(request), &from));
    require(wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(from), &input));
    outgoing_body body = begin(out, 200);
    output_stream output = stream_of(body);
    handler_list_u8_t part;
    wasi_io_streams_stream_error_t error;
    while (wasi_io_streams_method_input_stream_blocking_read(
        wasi_io_streams_borrow_input_stream(input), 65536, &part, &error)) {
        for (size_t i = 0; i < part.len; i++)
            part.ptr[i] = (uint8_t)toupper(part.ptr[i]);
        write_all(output, part.ptr, part.len);
        handler_list_u8_free(&part);
    }
    wasi_io_streams_stream_error_free(&error);
    end(body, output);
    // The stream belongs to the body: it goes first.
    wasi_io_streams_input_stream_drop_own(input);
    wasi_http_types_incoming_body_drop_own(from);
}

void exports_wasi_http_incoming_handler_handle(incoming_request request, response_outparam out) {
    wasi_http_types_borrow_incoming_request_t self = wasi_http_types_borrow_incoming_request(request);
    wasi_http_types_method_t method;
    handler_string_t path = {NULL, 0};
    wasi_http_types_method_incoming_request_method(self, &method);
    bool has_path = wasi_http_types_method_incoming_request_path_with_query(self, &path);
    bool root = has_path && path.len == 1;
    bool to_shout = has_path && path.len == 6 && memcmp(path.ptr, "/shout", 6) == 0;
    if (method.tag == WASI_HTTP_TYPES_METHOD_GET && root)
        answer(out, 200, "Hello from C\n");
    else if (method.tag == WASI_HTTP_TYPES_METHOD_POST && to_shout)
        shout(request, out);
    else
        answer(out, 404, "not found\n");
    wasi_http_types_method_free(&method);
    if (has_path)
        handler_string_free(&path);
    wasi_http_types_incoming_request_drop_own(request);
}
