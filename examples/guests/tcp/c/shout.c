// A server that answers each connection with what it was sent, in capitals, and a client for it.
//
// `shout serve PORT COUNT` ends after COUNT connections; `shout send PORT TEXT` prints the answer.
// `network.h` is what `wit-bindgen c` makes of the world `network`.
#include "network.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef wasi_sockets_tcp_own_tcp_socket_t tcp_socket;
typedef wasi_sockets_tcp_own_input_stream_t input_stream;
typedef wasi_sockets_tcp_own_output_stream_t output_stream;
typedef wasi_sockets_tcp_error_code_t error_code;

#define SELF(socket) wasi_sockets_tcp_borrow_tcp_socket(socket)

static const char *name_of(error_code code) {
    switch (code) {
    case WASI_SOCKETS_NETWORK_ERROR_CODE_ACCESS_DENIED: return "access-denied";
    case WASI_SOCKETS_NETWORK_ERROR_CODE_ADDRESS_IN_USE: return "address-in-use";
    case WASI_SOCKETS_NETWORK_ERROR_CODE_CONNECTION_REFUSED: return "connection-refused";
    default: return "the network failed";
    }
}

static void require(bool ok, error_code code) {
    if (!ok) {
        fprintf(stderr, "shout: %s\n", name_of(code));
        exit(1);
    }
}

// Waits until a socket is ready, if that is why nothing was done; says whether to try again.
static bool again(tcp_socket socket, bool ok, error_code code) {
    if (ok || code != WASI_SOCKETS_NETWORK_ERROR_CODE_WOULD_BLOCK) {
        require(ok, code);
        return false;
    }
    wasi_io_poll_own_pollable_t ready = wasi_sockets_tcp_method_tcp_socket_subscribe(SELF(socket));
    wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(ready));
    wasi_io_poll_pollable_drop_own(ready);
    return true;
}

// Writes all; a connection that breaks is the other end's business.
static void write_all(output_stream output, uint8_t *bytes, size_t length) {
    while (length > 0) {
        network_list_u8_t part = {bytes, length < 4096 ? length : 4096};
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

// The next part, to be freed; false at the end.
static bool read_part(input_stream input, network_list_u8_t *part) {
    wasi_io_streams_stream_error_t error;
    bool ok = wasi_io_streams_method_input_stream_blocking_read(
        wasi_io_streams_borrow_input_stream(input), 4096, part, &error);
    if (!ok)
        wasi_io_streams_stream_error_free(&error);
    return ok;
}

static tcp_socket new_socket(void) {
    tcp_socket socket;
    error_code code = 0;
    bool ok = wasi_sockets_tcp_create_socket_create_tcp_socket(WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV4, &socket, &code);
    require(ok, code);
    return socket;
}

static wasi_sockets_tcp_ip_socket_address_t address(uint16_t port) {
    wasi_sockets_tcp_ip_socket_address_t address = {.tag = WASI_SOCKETS_NETWORK_IP_SOCKET_ADDRESS_IPV4};
    address.val.ipv4.port = port;
    address.val.ipv4.address.f0 = 127;
    address.val.ipv4.address.f3 = 1;
    return address;
}

// What belongs to something else goes before it.
static void drop(tcp_socket socket, input_stream input, output_stream output) {
    wasi_io_streams_input_stream_drop_own(input);
    wasi_io_streams_output_stream_drop_own(output);
    wasi_sockets_tcp_tcp_socket_drop_own(socket);
}

static void serve(uint16_t port, int count) {
    tcp_socket socket = new_socket();
    wasi_sockets_network_own_network_t net = wasi_sockets_instance_network_instance_network();
    wasi_sockets_tcp_ip_socket_address_t local = address(port);
    error_code code = 0;
    require(wasi_sockets_tcp_method_tcp_socket_start_bind(SELF(socket), wasi_sockets_network_borrow_network(net), &local, &code), code);
    while (again(socket, wasi_sockets_tcp_method_tcp_socket_finish_bind(SELF(socket), &code), code)) {}
    require(wasi_sockets_tcp_method_tcp_socket_start_listen(SELF(socket), &code), code);
    while (again(socket, wasi_sockets_tcp_method_tcp_socket_finish_listen(SELF(socket), &code), code)) {}
    require(wasi_sockets_tcp_method_tcp_socket_local_address(SELF(socket), &local, &code), code);
    printf("listening on port %d\n", local.val.ipv4.port);
    fflush(stdout);
    while (count-- > 0) {
        wasi_sockets_tcp_tuple3_own_tcp_socket_own_input_stream_own_output_stream_t one;
        while (again(socket, wasi_sockets_tcp_method_tcp_socket_accept(SELF(socket), &one, &code), code)) {}
        network_list_u8_t part;
        while (read_part(one.f1, &part)) {
            for (size_t i = 0; i < part.len; i++)
                part.ptr[i] = (uint8_t)toupper(part.ptr[i]);
            write_all(one.f2, part.ptr, part.len);
            network_list_u8_free(&part);
        }
        drop(one.f0, one.f1, one.f2);
    }
    wasi_sockets_tcp_tcp_socket_drop_own(socket);
}

static void send(uint16_t port, char *text) {
    tcp_socket socket = new_socket();
    wasi_sockets_network_own_network_t net = wasi_sockets_instance_network_instance_network();
    wasi_sockets_tcp_ip_socket_address_t to = address(port);
    wasi_sockets_tcp_tuple2_own_input_stream_own_output_stream_t streams;
    error_code code = 0;
    require(wasi_sockets_tcp_method_tcp_socket_start_connect(SELF(socket), wasi_sockets_network_borrow_network(net), &to, &code), code);
    while (again(socket, wasi_sockets_tcp_method_tcp_socket_finish_connect(SELF(socket), &streams, &code), code)) {}
    write_all(streams.f1, (uint8_t *)text, strlen(text));
    require(wasi_sockets_tcp_method_tcp_socket_shutdown(SELF(socket), WASI_SOCKETS_TCP_SHUTDOWN_TYPE_SEND, &code), code);
    network_list_u8_t part;
    while (read_part(streams.f0, &part)) {
        fwrite(part.ptr, 1, part.len, stdout);
        network_list_u8_free(&part);
    }
    putchar('\n');
    drop(socket, streams.f0, streams.f1);
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "serve") == 0) {
        serve((uint16_t)atoi(argv[2]), atoi(argv[3]));
    } else if (argc == 4 && strcmp(argv[1], "send") == 0) {
        send((uint16_t)atoi(argv[2]), argv[3]);
    } else {
        fputs("usage: shout serve PORT COUNT | shout send PORT TEXT\n", stderr);
        return 1;
    }
    return 0;
}
