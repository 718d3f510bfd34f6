;; A handler of HTTP requests whose path says what it does:
;;   /hello   answers "hello, world\n"
;;   /echo    answers with the request's body, piece by piece
;;   /sink    reads the request's body to its end, then answers; traps if there is none
;;   /big     answers with 1 GiB, in pieces of 4 KiB
;;   /once    answers with how often this instance was asked: always "1\n"
;;   /trap    traps before it answers
;;   /late    answers, and traps in the middle of the body
;;   /loop    never answers
;;   /grow    grows its memory until it may not, then answers
;;   /silent  ends without an answer
;;   /info    answers with status 101
;;   /over    answers with more bytes than its content-length, 5, says
;;   /under   answers with fewer
;;   else     status 404
(component
  (import "wasi:io/error@0.2.0" (instance $error-iface (export "error" (type (sub resource)))))
  (alias export $error-iface "error" (type $io-error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (export "input-stream" (type $in (sub resource)))
    (export "output-stream" (type $out (sub resource)))
    (export "error" (type $error (eq $io-error)))
    (type $failure' (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $failure (eq $failure')))
    (export "[method]input-stream.blocking-read"
      (func (param "self" (borrow $in)) (param "len" u64) (result (result (list u8) (error $failure)))))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $out)) (param "contents" (list u8)) (result (result (error $failure)))))))
  (alias export $streams "input-stream" (type $input-stream))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:http/types@0.2.0" (instance $http
    (export "input-stream" (type $in (eq $input-stream)))
    (export "output-stream" (type $out (eq $output-stream)))
    (export "fields" (type $fields (sub resource)))
    (export "incoming-request" (type $request (sub resource)))
    (export "incoming-body" (type $incoming (sub resource)))
    (export "outgoing-response" (type $response (sub resource)))
    (export "outgoing-body" (type $outgoing (sub resource)))
    (export "response-outparam" (type $param (sub resource)))
    (type $dns' (record (field "rcode" (option string)) (field "info-code" (option u16))))
    (export "DNS-error-payload" (type $dns (eq $dns')))
    (type $alert' (record (field "alert-id" (option u8)) (field "alert-message" (option string))))
    (export "TLS-alert-received-payload" (type $alert (eq $alert')))
    (type $size' (record (field "field-name" (option string)) (field "field-size" (option u32))))
    (export "field-size-payload" (type $size (eq $size')))
    (type $code' (variant
      (case "DNS-timeout") (case "DNS-error" $dns) (case "destination-not-found")
      (case "destination-unavailable") (case "destination-IP-prohibited")
      (case "destination-IP-unroutable") (case "connection-refused") (case "connection-terminated")
      (case "connection-timeout") (case "connection-read-timeout") (case "connection-write-timeout")
      (case "connection-limit-reached") (case "TLS-protocol-error") (case "TLS-certificate-error")
      (case "TLS-alert-received" $alert) (case "HTTP-request-denied")
      (case "HTTP-request-length-required") (case "HTTP-request-body-size" (option u64))
      (case "HTTP-request-method-invalid") (case "HTTP-request-URI-invalid")
      (case "HTTP-request-URI-too-long") (case "HTTP-request-header-section-size" (option u32))
      (case "HTTP-request-header-size" (option $size))
      (case "HTTP-request-trailer-section-size" (option u32)) (case "HTTP-request-trailer-size" $size)
      (case "HTTP-response-incomplete") (case "HTTP-response-header-section-size" (option u32))
      (case "HTTP-response-header-size" $size) (case "HTTP-response-body-size" (option u64))
      (case "HTTP-response-trailer-section-size" (option u32)) (case "HTTP-response-trailer-size" $size)
      (case "HTTP-response-transfer-coding" (option string))
      (case "HTTP-response-content-coding" (option string)) (case "HTTP-response-timeout")
      (case "HTTP-upgrade-failed") (case "HTTP-protocol-error") (case "loop-detected")
      (case "configuration-error") (case "internal-error" (option string))))
    (export "error-code" (type $code (eq $code')))
    (type $header' (variant (case "invalid-syntax") (case "forbidden") (case "immutable")))
    (export "header-error" (type $header (eq $header')))
    (export "[constructor]fields" (func (result (own $fields))))
    (export "[method]fields.append"
      (func (param "self" (borrow $fields)) (param "name" string) (param "value" (list u8))
        (result (result (error $header)))))
    (export "[method]incoming-request.path-with-query"
      (func (param "self" (borrow $request)) (result (option string))))
    (export "[method]incoming-request.consume"
      (func (param "self" (borrow $request)) (result (result (own $incoming)))))
    (export "[method]incoming-body.stream"
      (func (param "self" (borrow $incoming)) (result (result (own $in)))))
    (export "[constructor]outgoing-response" (func (param "headers" (own $fields)) (result (own $response))))
    (export "[method]outgoing-response.set-status-code"
      (func (param "self" (borrow $response)) (param "status-code" u16) (result (result))))
    (export "[method]outgoing-response.body"
      (func (param "self" (borrow $response)) (result (result (own $outgoing)))))
    (export "[method]outgoing-body.write"
      (func (param "self" (borrow $outgoing)) (result (result (own $out)))))
    (export "[static]outgoing-body.finish"
      (func (param "this" (own $outgoing)) (param "trailers" (option (own $fields)))
        (result (result (error $code)))))
    (export "[static]response-outparam.set"
      (func (param "param" (own $param)) (param "response" (result (own $response) (error $code)))))))
  (alias export $http "incoming-request" (type $request))
  (alias export $http "response-outparam" (type $outparam))

  (core module $libc
    (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 1024))
    ;; Everything that the host hands over lies one after the other, from 1 KiB to 128 KiB and round again.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (if (i32.gt_u (i32.add (global.get $next) (local.get 3)) (i32.const 0x20000))
        (then (global.set $next (i32.const 1024))))
      (global.get $next)
      (global.set $next (i32.add (global.get $next) (local.get 3)))))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))

  (core func $fields (canon lower (func $http "[constructor]fields")))
  (core func $append (canon lower (func $http "[method]fields.append") (memory $memory)))
  (core func $path (canon lower (func $http "[method]incoming-request.path-with-query")
    (memory $memory) (realloc $realloc)))
  (core func $consume (canon lower (func $http "[method]incoming-request.consume") (memory $memory)))
  (core func $stream (canon lower (func $http "[method]incoming-body.stream") (memory $memory)))
  (core func $response (canon lower (func $http "[constructor]outgoing-response")))
  (core func $status (canon lower (func $http "[method]outgoing-response.set-status-code") (memory $memory)))
  (core func $body (canon lower (func $http "[method]outgoing-response.body") (memory $memory)))
  (core func $open (canon lower (func $http "[method]outgoing-body.write") (memory $memory)))
  (core func $finish (canon lower (func $http "[static]outgoing-body.finish") (memory $memory) (realloc $realloc)))
  (core func $set (canon lower (func $http "[static]response-outparam.set") (memory $memory) (realloc $realloc)))
  (core func $read (canon lower (func $streams "[method]input-stream.blocking-read")
    (memory $memory) (realloc $realloc)))
  (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
    (memory $memory)))
  (core func $close (canon resource.drop $output-stream))

  (core module $main
    (import "libc" "memory" (memory 2))
    (import "host" "fields" (func $fields (result i32)))
    (import "host" "append" (func $append (param i32 i32 i32 i32 i32 i32)))
    (import "host" "path" (func $path (param i32 i32)))
    (import "host" "consume" (func $consume (param i32 i32)))
    (import "host" "stream" (func $stream (param i32 i32)))
    (import "host" "response" (func $response (param i32) (result i32)))
    (import "host" "status" (func $status (param i32 i32) (result i32)))
    (import "host" "body" (func $body (param i32 i32)))
    (import "host" "open" (func $open (param i32 i32)))
    (import "host" "finish" (func $finish (param i32 i32 i32 i32)))
    (import "host" "set" (func $set (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (import "host" "read" (func $read (param i32 i64 i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (import "host" "close" (func $close (param i32)))

    (data (i32.const 512) "hello, world\0a")
    (data (i32.const 528) "0\0a")
    (data (i32.const 544) "content-length5")

    (global $outgoing (mut i32) (i32.const 0))

    ;; Whether the path begins with these six bytes after its slash (with zeroes after the fourth, four).
    (func $is (param $from i32) (param $word i32) (result i32)
      (i32.eq (i32.load offset=1 align=1 (local.get $from)) (local.get $word)))

    ;; Sends the head of the response; returns the stream of its body.
    (func $begin (param $outparam i32) (param $code i32) (result i32)
      (call $begin_with (local.get $outparam) (local.get $code) (call $fields)))

    (func $begin_with (param $outparam i32) (param $code i32) (param $head i32) (result i32)
      (local $response i32)
      (local.set $response (call $response (local.get $head)))
      (drop (call $status (local.get $response) (local.get $code)))
      (call $body (local.get $response) (i32.const 0))
      (if (i32.load8_u (i32.const 0)) (then (unreachable)))
      (global.set $outgoing (i32.load (i32.const 4)))
      (call $set (local.get $outparam) (i32.const 0) (local.get $response)
        (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
      (call $open (global.get $outgoing) (i32.const 0))
      (if (i32.load8_u (i32.const 0)) (then (unreachable)))
      (i32.load (i32.const 4)))

    (func $put (param $stream i32) (param $from i32) (param $bytes i32) (result i32)
      (call $write (local.get $stream) (local.get $from) (local.get $bytes) (i32.const 0))
      (i32.load8_u (i32.const 0)))

    (func $end (param $stream i32)
      (call $close (local.get $stream))
      (call $finish (global.get $outgoing) (i32.const 0) (i32.const 0) (i32.const 0)))

    (func (export "handle") (param $request i32) (param $outparam i32)
      (local $word i32) (local $out i32) (local $in i32) (local $count i32)
      (call $path (local.get $request) (i32.const 16))
      (local.set $word (i32.load offset=1 align=1 (i32.load (i32.const 20))))
      ;; "hell": the body is complete before the head is sent, or so it should look.
      (if (i32.eq (local.get $word) (i32.const 0x6c6c6568)) (then
        (local.set $out (call $begin (local.get $outparam) (i32.const 200)))
        (drop (call $put (local.get $out) (i32.const 512) (i32.const 13)))
        (call $end (local.get $out))
        (return)))
      ;; "echo"
      (if (i32.eq (local.get $word) (i32.const 0x6f686365)) (then
        (call $consume (local.get $request) (i32.const 0))
        (call $stream (i32.load (i32.const 4)) (i32.const 0))
        (local.set $in (i32.load (i32.const 4)))
        (local.set $out (call $begin (local.get $outparam) (i32.const 200)))
        (block $done
          (loop $more
            (call $read (local.get $in) (i64.const 4096) (i32.const 32))
            (br_if $done (i32.load8_u (i32.const 32)))
            (br_if $done (call $put (local.get $out) (i32.load (i32.const 36)) (i32.load (i32.const 40))))
            (br $more)))
        (call $end (local.get $out))
        (return)))
      ;; "sink"
      (if (i32.eq (local.get $word) (i32.const 0x6b6e6973)) (then
        (call $consume (local.get $request) (i32.const 0))
        (call $stream (i32.load (i32.const 4)) (i32.const 0))
        (local.set $in (i32.load (i32.const 4)))
        (loop $more
          (call $read (local.get $in) (i64.const 4096) (i32.const 32))
          (br_if $more (i32.eqz (i32.load8_u (i32.const 32)))))
        ;; It has to end as it should.
        (if (i32.eqz (i32.load8_u (i32.const 36))) (then (unreachable)))
        (local.set $out (call $begin (local.get $outparam) (i32.const 200)))
        (drop (call $put (local.get $out) (i32.const 512) (i32.const 13)))
        (call $end (local.get $out))
        (return)))
      ;; "big", and whatever comes after it
      (if (i32.eq (i32.and (local.get $word) (i32.const 0xffffff)) (i32.const 0x676962)) (then
        (local.set $out (call $begin (local.get $outparam) (i32.const 200)))
        (block $done
          (loop $more
            (br_if $done (call $put (local.get $out) (i32.const 0x10000) (i32.const 4096)))
            (local.set $count (i32.add (local.get $count) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $count) (i32.const 262144)))))
        (call $end (local.get $out))
        (return)))
      ;; "once"
      (if (i32.eq (local.get $word) (i32.const 0x65636e6f)) (then
        (i32.store8 (i32.const 528) (i32.add (i32.load8_u (i32.const 528)) (i32.const 1)))
        (local.set $out (call $begin (local.get $outparam) (i32.const 200)))
        (drop (call $put (local.get $out) (i32.const 528) (i32.const 2)))
        (call $end (local.get $out))
        (return)))
      ;; "trap"
      (if (i32.eq (local.get $word) (i32.const 0x70617274)) (then (unreachable)))
      ;; "late"
      (if (i32.eq (local.get $word) (i32.const 0x6574616c)) (then
        (drop (call $put (call $begin (local.get $outparam) (i32.const 200)) (i32.const 512) (i32.const 13)))
        (unreachable)))
      ;; "loop"
      (if (i32.eq (local.get $word) (i32.const 0x706f6f6c)) (then
        (loop $forever (br $forever))))
      ;; "grow"
      (if (i32.eq (local.get $word) (i32.const 0x776f7267)) (then
        (loop $more
          (local.set $in (memory.grow (i32.const 16)))
          (if (i32.ne (local.get $in) (i32.const -1)) (then
            (memory.fill (i32.shl (local.get $in) (i32.const 16)) (i32.const 1) (i32.const 0x100000))
            (br $more))))
        (local.set $out (call $begin (local.get $outparam) (i32.const 200)))
        (drop (call $put (local.get $out) (i32.const 512) (i32.const 13)))
        (call $end (local.get $out))
        (return)))
      ;; "info"
      (if (i32.eq (local.get $word) (i32.const 0x6f666e69)) (then
        (call $end (call $begin (local.get $outparam) (i32.const 101)))
        (return)))
      ;; "over", "unde"
      (local.set $count (i32.add
        (i32.mul (i32.eq (local.get $word) (i32.const 0x7265766f)) (i32.const 6))
        (i32.mul (i32.eq (local.get $word) (i32.const 0x65646e75)) (i32.const 4))))
      (if (local.get $count) (then
        (local.set $in (call $fields))
        (call $append (local.get $in) (i32.const 544) (i32.const 14) (i32.const 558) (i32.const 1) (i32.const 0))
        (local.set $out (call $begin_with (local.get $outparam) (i32.const 200) (local.get $in)))
        (drop (call $put (local.get $out) (i32.const 512) (local.get $count)))
        (call $end (local.get $out))
        (return)))
      ;; "sile"
      (if (i32.eq (local.get $word) (i32.const 0x656c6973)) (then (return)))
      (call $end (call $begin (local.get $outparam) (i32.const 404)))))

  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "fields" (func $fields))
      (export "append" (func $append))
      (export "path" (func $path))
      (export "consume" (func $consume))
      (export "stream" (func $stream))
      (export "response" (func $response))
      (export "status" (func $status))
      (export "body" (func $body))
      (export "open" (func $open))
      (export "finish" (func $finish))
      (export "set" (func $set))
      (export "read" (func $read))
      (export "write" (func $write))
      (export "close" (func $close))))))
  (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))
    (canon lift (core func $main "handle")))
  (component $iface
    (import "request" (type $request (sub resource)))
    (import "outparam" (type $outparam (sub resource)))
    (import "handle" (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))))
    (export "handle" (func $handle)))
  (instance $handler (instantiate $iface
    (with "request" (type $request)) (with "outparam" (type $outparam)) (with "handle" (func $handle))))
  (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))
