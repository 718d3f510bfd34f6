;; Strings from one memory to another, in every pair of encodings (canonical ABI, "Storing").
;;
;; Each exported function takes the address and the length (in code units) of a string in `$src`,
;; checks both, asks `$realloc` for room in `$dst`, and returns address and length there. Adapters
;; take the functions that they need, with their own imports. The numbers given to `$trap` are those
;; of the table of faults. `transcode.wasm` is this file, assembled; a test compares them.
;;
;; Bytes left are counted, not compared with an end: a string may end where the address space does.
(module
  (import "" "trap" (func $trap (param i32)))
  (import "" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
  (memory $src (import "" "src") 0)
  (memory $dst (import "" "dst") 0)

  ;; The string must lie in its memory.
  (func $inside (param $ptr i32) (param $bytes i32)
    (if (i64.gt_u
          (i64.add (i64.extend_i32_u (local.get $ptr)) (i64.extend_i32_u (local.get $bytes)))
          (i64.shl (i64.extend_i32_u (memory.size $src)) (i64.const 16)))
      (then (call $trap (i32.const 5)) (unreachable))))

  ;; The number of bytes must be one that a string may have.
  (func $bounded (param $bytes i64) (result i32)
    (if (i64.gt_u (local.get $bytes) (i64.const 0x7fffffff))
      (then (call $trap (i32.const 10)) (unreachable)))
    (i32.wrap_i64 (local.get $bytes)))

  ;; The bytes of so many units of UTF-16, which must lie in memory.
  (func $units (param $ptr i32) (param $len i32) (result i32)
    (local $bytes i32)
    (if (i32.and (local.get $ptr) (i32.const 1))
      (then (call $trap (i32.const 7)) (unreachable)))
    (local.set $bytes
      (call $bounded (i64.shl (i64.extend_i32_u (local.get $len)) (i64.const 1))))
    (call $inside (local.get $ptr) (local.get $bytes))
    (local.get $bytes))

  ;; Room of `$size` bytes for what is at `$old` so far; checks what it gets.
  (func $alloc (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $ptr i32)
    (local.set $ptr
      (call $realloc (local.get $old) (local.get $old_size) (local.get $align) (local.get $size)))
    (if (i32.and (local.get $ptr) (i32.sub (local.get $align) (i32.const 1)))
      (then (call $trap (i32.const 8)) (unreachable)))
    (if (i64.gt_u
          (i64.add (i64.extend_i32_u (local.get $ptr)) (i64.extend_i32_u (local.get $size)))
          (i64.shl (i64.extend_i32_u (memory.size $dst)) (i64.const 16)))
      (then (call $trap (i32.const 9)) (unreachable)))
    (local.get $ptr))

  (func $bad_utf8
    (call $trap (i32.const 12)))

  ;; A byte that continues a character; `$left` bytes are left from `$at` on.
  (func $tail (param $at i32) (param $left i32) (result i32)
    (local $byte i32)
    (if (i32.eqz (local.get $left)) (then (call $bad_utf8) (unreachable)))
    (local.set $byte (i32.load8_u $src (local.get $at)))
    (if (i32.ne (i32.and (local.get $byte) (i32.const 0xc0)) (i32.const 0x80))
      (then (call $bad_utf8) (unreachable)))
    (i32.and (local.get $byte) (i32.const 0x3f)))

  ;; The character at `$at`, of which `$left` (not 0) bytes are left, and its bytes.
  (func $next8 (param $at i32) (param $left i32) (result i32 i32)
    (local $c i32)
    (local.set $c (i32.load8_u $src (local.get $at)))
    (if (i32.lt_u (local.get $c) (i32.const 0x80))
      (then (return (local.get $c) (i32.const 1))))
    (if (i32.lt_u (local.get $c) (i32.const 0xc2))
      (then (call $bad_utf8) (unreachable)))
    (if (i32.lt_u (local.get $c) (i32.const 0xe0))
      (then
        (return
          (i32.or
            (i32.shl (i32.and (local.get $c) (i32.const 0x1f)) (i32.const 6))
            (call $tail
              (i32.add (local.get $at) (i32.const 1)) (i32.sub (local.get $left) (i32.const 1))))
          (i32.const 2))))
    (if (i32.gt_u (local.get $c) (i32.const 0xf4))
      (then (call $bad_utf8) (unreachable)))
    (if (i32.lt_u (local.get $left) (i32.const 3))
      (then (call $bad_utf8) (unreachable)))
    (if (i32.lt_u (local.get $c) (i32.const 0xf0))
      (then
        (local.set $c
          (i32.or
            (i32.or
              (i32.shl (i32.and (local.get $c) (i32.const 0x0f)) (i32.const 12))
              (i32.shl
                (call $tail (i32.add (local.get $at) (i32.const 1)) (i32.const 1))
                (i32.const 6)))
            (call $tail (i32.add (local.get $at) (i32.const 2)) (i32.const 1))))
        (if (i32.or
              (i32.lt_u (local.get $c) (i32.const 0x800))
              (i32.eq (i32.and (local.get $c) (i32.const 0xf800)) (i32.const 0xd800)))
          (then (call $bad_utf8) (unreachable)))
        (return (local.get $c) (i32.const 3))))
    (if (i32.lt_u (local.get $left) (i32.const 4))
      (then (call $bad_utf8) (unreachable)))
    (local.set $c
      (i32.or
        (i32.or
          (i32.shl (i32.and (local.get $c) (i32.const 0x07)) (i32.const 18))
          (i32.shl
            (call $tail (i32.add (local.get $at) (i32.const 1)) (i32.const 1))
            (i32.const 12)))
        (i32.or
          (i32.shl
            (call $tail (i32.add (local.get $at) (i32.const 2)) (i32.const 1))
            (i32.const 6))
          (call $tail (i32.add (local.get $at) (i32.const 3)) (i32.const 1)))))
    (if (i32.or
          (i32.lt_u (local.get $c) (i32.const 0x10000))
          (i32.gt_u (local.get $c) (i32.const 0x10ffff)))
      (then (call $bad_utf8) (unreachable)))
    (local.get $c) (i32.const 4))

  ;; The same of UTF-16; `$left` is even.
  (func $next16 (param $at i32) (param $left i32) (result i32 i32)
    (local $c i32) (local $low i32)
    (local.set $c (i32.load16_u $src (local.get $at)))
    (if (i32.ne (i32.and (local.get $c) (i32.const 0xf800)) (i32.const 0xd800))
      (then (return (local.get $c) (i32.const 2))))
    (if (i32.or
          (i32.ge_u (local.get $c) (i32.const 0xdc00))
          (i32.lt_u (local.get $left) (i32.const 4)))
      (then (call $trap (i32.const 13)) (unreachable)))
    (local.set $low (i32.load16_u $src (i32.add (local.get $at) (i32.const 2))))
    (if (i32.ne (i32.and (local.get $low) (i32.const 0xfc00)) (i32.const 0xdc00))
      (then (call $trap (i32.const 13)) (unreachable)))
    (i32.add
      (i32.const 0x10000)
      (i32.or
        (i32.shl (i32.and (local.get $c) (i32.const 0x3ff)) (i32.const 10))
        (i32.and (local.get $low) (i32.const 0x3ff))))
    (i32.const 4))

  ;; The same of Latin-1.
  (func $next1 (param $at i32) (param $left i32) (result i32 i32)
    (i32.load8_u $src (local.get $at)) (i32.const 1))

  ;; Writes a character; returns its bytes.
  (func $put8 (param $c i32) (param $to i32) (result i32)
    (if (i32.lt_u (local.get $c) (i32.const 0x80))
      (then
        (i32.store8 $dst (local.get $to) (local.get $c))
        (return (i32.const 1))))
    (if (i32.lt_u (local.get $c) (i32.const 0x800))
      (then
        (i32.store8 $dst (local.get $to)
          (i32.or (i32.const 0xc0) (i32.shr_u (local.get $c) (i32.const 6))))
        (i32.store8 $dst offset=1 (local.get $to)
          (i32.or (i32.const 0x80) (i32.and (local.get $c) (i32.const 0x3f))))
        (return (i32.const 2))))
    (if (i32.lt_u (local.get $c) (i32.const 0x10000))
      (then
        (i32.store8 $dst (local.get $to)
          (i32.or (i32.const 0xe0) (i32.shr_u (local.get $c) (i32.const 12))))
        (i32.store8 $dst offset=1 (local.get $to)
          (i32.or (i32.const 0x80)
            (i32.and (i32.shr_u (local.get $c) (i32.const 6)) (i32.const 0x3f))))
        (i32.store8 $dst offset=2 (local.get $to)
          (i32.or (i32.const 0x80) (i32.and (local.get $c) (i32.const 0x3f))))
        (return (i32.const 3))))
    (i32.store8 $dst (local.get $to)
      (i32.or (i32.const 0xf0) (i32.shr_u (local.get $c) (i32.const 18))))
    (i32.store8 $dst offset=1 (local.get $to)
      (i32.or (i32.const 0x80) (i32.and (i32.shr_u (local.get $c) (i32.const 12)) (i32.const 0x3f))))
    (i32.store8 $dst offset=2 (local.get $to)
      (i32.or (i32.const 0x80) (i32.and (i32.shr_u (local.get $c) (i32.const 6)) (i32.const 0x3f))))
    (i32.store8 $dst offset=3 (local.get $to)
      (i32.or (i32.const 0x80) (i32.and (local.get $c) (i32.const 0x3f))))
    (i32.const 4))

  (func $put16 (param $c i32) (param $to i32) (result i32)
    (if (i32.lt_u (local.get $c) (i32.const 0x10000))
      (then
        (i32.store16 $dst (local.get $to) (local.get $c))
        (return (i32.const 2))))
    (local.set $c (i32.sub (local.get $c) (i32.const 0x10000)))
    (i32.store16 $dst (local.get $to)
      (i32.or (i32.const 0xd800) (i32.shr_u (local.get $c) (i32.const 10))))
    (i32.store16 $dst offset=2 (local.get $to)
      (i32.or (i32.const 0xdc00) (i32.and (local.get $c) (i32.const 0x3ff))))
    (i32.const 4))

  ;; Refuses what is no UTF-8.
  (func $valid8 (param $at i32) (param $left i32)
    (local $used i32)
    (block $done
      (loop $next
        (block $slow
          (loop $fast
            (br_if $slow (i32.lt_u (local.get $left) (i32.const 8)))
            (br_if $slow
              (i64.ne
                (i64.and (i64.load $src align=1 (local.get $at)) (i64.const 0x8080808080808080))
                (i64.const 0)))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (local.set $left (i32.sub (local.get $left) (i32.const 8)))
            (br $fast)))
        (br_if $done (i32.eqz (local.get $left)))
        (local.set $used (call $next8 (local.get $at) (local.get $left)))
        (drop)
        (local.set $at (i32.add (local.get $at) (local.get $used)))
        (local.set $left (i32.sub (local.get $left) (local.get $used)))
        (br $next))))

  ;; Refuses what is no UTF-16.
  (func $valid16 (param $at i32) (param $left i32)
    (local $used i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $left)))
        (local.set $used (call $next16 (local.get $at) (local.get $left)))
        (drop)
        (local.set $at (i32.add (local.get $at) (local.get $used)))
        (local.set $left (i32.sub (local.get $left) (local.get $used)))
        (br $next))))

  ;; Copies while it checks, 16 bytes at a time as long as they are ASCII; what is written before a
  ;; trap nobody reads. The last bytes are read with some of those before them, if there are 16.
  (func (export "utf8-utf8") (param $ptr i32) (param $len i32) (result i32 i32)
    (local $to i32) (local $at i32) (local $left i32) (local $last i32)
    (local $bytes v128) (local $word i64)
    (drop (call $bounded (i64.extend_i32_u (local.get $len))))
    (call $inside (local.get $ptr) (local.get $len))
    (local.set $to (call $alloc (i32.const 0) (i32.const 0) (i32.const 1) (local.get $len)))
    (local.set $left (local.get $len))
    (block $done
      (block $slow
        (if (i32.ge_u (local.get $len) (i32.const 16))
          (then
            (loop $blocks
              (local.set $bytes (v128.load $src align=1 (i32.add (local.get $ptr) (local.get $at))))
              (v128.store $dst align=1 (i32.add (local.get $to) (local.get $at)) (local.get $bytes))
              (br_if $slow (i8x16.bitmask (local.get $bytes)))
              (local.set $at (i32.add (local.get $at) (i32.const 16)))
              (local.set $left (i32.sub (local.get $left) (i32.const 16)))
              (br_if $blocks (i32.ge_u (local.get $left) (i32.const 16))))
            (br_if $done (i32.eqz (local.get $left)))
            (local.set $last (i32.sub (local.get $len) (i32.const 16)))
            (local.set $bytes (v128.load $src align=1 (i32.add (local.get $ptr) (local.get $last))))
            (v128.store $dst align=1 (i32.add (local.get $to) (local.get $last)) (local.get $bytes))
            (br_if $slow (i8x16.bitmask (local.get $bytes)))
            (br $done)))
        (br_if $slow (i32.lt_u (local.get $len) (i32.const 8)))
        (local.set $word (i64.load $src align=1 (local.get $ptr)))
        (i64.store $dst align=1 (local.get $to) (local.get $word))
        (br_if $slow
          (i64.ne (i64.and (local.get $word) (i64.const 0x8080808080808080)) (i64.const 0)))
        (local.set $last (i32.sub (local.get $len) (i32.const 8)))
        (local.set $word
          (i64.load $src align=1 (i32.add (local.get $ptr) (local.get $last))))
        (i64.store $dst align=1 (i32.add (local.get $to) (local.get $last)) (local.get $word))
        (br_if $slow
          (i64.ne (i64.and (local.get $word) (i64.const 0x8080808080808080)) (i64.const 0)))
        (br $done))
      ;; All bytes before `$at` are ASCII, so that a character starts there.
      (call $valid8 (i32.add (local.get $ptr) (local.get $at)) (local.get $left))
      (memory.copy $dst $src
        (i32.add (local.get $to) (local.get $at))
        (i32.add (local.get $ptr) (local.get $at))
        (local.get $left)))
    (local.get $to) (local.get $len))

  (func $utf16_utf16 (export "utf16-utf16") (param $ptr i32) (param $len i32) (result i32 i32)
    (local $to i32) (local $bytes i32)
    (local.set $bytes (call $units (local.get $ptr) (local.get $len)))
    (local.set $to (call $alloc (i32.const 0) (i32.const 0) (i32.const 2) (local.get $bytes)))
    (call $valid16 (local.get $ptr) (local.get $bytes))
    (memory.copy $dst $src (local.get $to) (local.get $ptr) (local.get $bytes))
    (local.get $to) (local.get $len))

  ;; Worst case first, then only what was needed.
  (func (export "utf8-utf16") (param $ptr i32) (param $len i32) (result i32 i32)
    (local $to i32) (local $worst i32) (local $size i32) (local $used i32) (local $c i32)
    (call $inside (local.get $ptr) (local.get $len))
    (local.set $worst
      (call $bounded (i64.shl (i64.extend_i32_u (local.get $len)) (i64.const 1))))
    (local.set $to (call $alloc (i32.const 0) (i32.const 0) (i32.const 2) (local.get $worst)))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $len)))
        (call $next8 (local.get $ptr) (local.get $len))
        (local.set $used)
        (local.set $c)
        (local.set $size
          (i32.add (local.get $size)
            (call $put16 (local.get $c) (i32.add (local.get $to) (local.get $size)))))
        (local.set $ptr (i32.add (local.get $ptr) (local.get $used)))
        (local.set $len (i32.sub (local.get $len) (local.get $used)))
        (br $next)))
    (if (i32.lt_u (local.get $size) (local.get $worst))
      (then
        (local.set $to
          (call $alloc (local.get $to) (local.get $worst) (i32.const 2) (local.get $size)))))
    (local.get $to) (i32.shr_u (local.get $size) (i32.const 1)))

  (func $latin1_utf16 (param $ptr i32) (param $len i32) (result i32 i32)
    (local $to i32) (local $i i32) (local $bytes i32)
    (call $inside (local.get $ptr) (local.get $len))
    (local.set $bytes
      (call $bounded (i64.shl (i64.extend_i32_u (local.get $len)) (i64.const 1))))
    (local.set $to (call $alloc (i32.const 0) (i32.const 0) (i32.const 2) (local.get $bytes)))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $i) (local.get $len)))
        (i32.store16 $dst
          (i32.add (local.get $to) (i32.shl (local.get $i) (i32.const 1)))
          (i32.load8_u $src (i32.add (local.get $ptr) (local.get $i))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (local.get $to) (local.get $len))

  (func $latin1_latin1 (param $ptr i32) (param $len i32) (result i32 i32)
    (local $to i32)
    (drop (call $bounded (i64.extend_i32_u (local.get $len))))
    (call $inside (local.get $ptr) (local.get $len))
    (local.set $to (call $alloc (i32.const 0) (i32.const 0) (i32.const 2) (local.get $len)))
    (memory.copy $dst $src (local.get $to) (local.get $ptr) (local.get $len))
    (local.get $to) (local.get $len))

  ;; One byte for each unit while it is ASCII, then the worst case, then only what was needed.
  (func $utf16_utf8 (export "utf16-utf8") (param $ptr i32) (param $len i32) (result i32 i32)
    (local $to i32) (local $left i32) (local $room i32) (local $size i32) (local $used i32)
    (local $c i32)
    (local.set $left (call $units (local.get $ptr) (local.get $len)))
    (local.set $room (local.get $len))
    (local.set $to (call $alloc (i32.const 0) (i32.const 0) (i32.const 1) (local.get $room)))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $left)))
        (call $next16 (local.get $ptr) (local.get $left))
        (local.set $used)
        (local.set $c)
        (if (i32.and
              (i32.ge_u (local.get $c) (i32.const 0x80))
              (i32.eq (local.get $room) (local.get $len)))
          (then
            (local.set $room
              (call $bounded (i64.mul (i64.extend_i32_u (local.get $len)) (i64.const 3))))
            (local.set $to
              (call $alloc (local.get $to) (local.get $len) (i32.const 1) (local.get $room)))))
        (local.set $size
          (i32.add (local.get $size)
            (call $put8 (local.get $c) (i32.add (local.get $to) (local.get $size)))))
        (local.set $ptr (i32.add (local.get $ptr) (local.get $used)))
        (local.set $left (i32.sub (local.get $left) (local.get $used)))
        (br $next)))
    (if (i32.lt_u (local.get $size) (local.get $room))
      (then
        (local.set $to
          (call $alloc (local.get $to) (local.get $room) (i32.const 1) (local.get $size)))))
    (local.get $to) (local.get $size))

  ;; One byte for each unit while it is ASCII, then the worst case, then only what was needed.
  (func $latin1_utf8 (param $ptr i32) (param $len i32) (result i32 i32)
    (local $to i32) (local $left i32) (local $room i32) (local $size i32) (local $used i32)
    (local $c i32)
    (drop (call $bounded (i64.extend_i32_u (local.get $len))))
    (call $inside (local.get $ptr) (local.get $len))
    (local.set $left (local.get $len))
    (local.set $room (local.get $len))
    (local.set $to (call $alloc (i32.const 0) (i32.const 0) (i32.const 1) (local.get $room)))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $left)))
        (call $next1 (local.get $ptr) (local.get $left))
        (local.set $used)
        (local.set $c)
        (if (i32.and
              (i32.ge_u (local.get $c) (i32.const 0x80))
              (i32.eq (local.get $room) (local.get $len)))
          (then
            (local.set $room
              (call $bounded (i64.mul (i64.extend_i32_u (local.get $len)) (i64.const 2))))
            (local.set $to
              (call $alloc (local.get $to) (local.get $len) (i32.const 1) (local.get $room)))))
        (local.set $size
          (i32.add (local.get $size)
            (call $put8 (local.get $c) (i32.add (local.get $to) (local.get $size)))))
        (local.set $ptr (i32.add (local.get $ptr) (local.get $used)))
        (local.set $left (i32.sub (local.get $left) (local.get $used)))
        (br $next)))
    (if (i32.lt_u (local.get $size) (local.get $room))
      (then
        (local.set $to
          (call $alloc (local.get $to) (local.get $room) (i32.const 1) (local.get $size)))))
    (local.get $to) (local.get $size))

  ;; Latin-1 as long as it goes, then UTF-16.
  (func (export "utf8-compact") (param $ptr i32) (param $len i32) (result i32 i32)
    (local $to i32) (local $left i32) (local $room i32) (local $size i32) (local $used i32)
    (local $c i32) (local $i i32)
    (drop (call $bounded (i64.extend_i32_u (local.get $len))))
    (call $inside (local.get $ptr) (local.get $len))
    (local.set $left (local.get $len))
    (local.set $to (call $alloc (i32.const 0) (i32.const 0) (i32.const 2) (local.get $len)))
    (block $wide
      (loop $next
        (if (i32.eqz (local.get $left))
          (then
            (if (i32.lt_u (local.get $size) (local.get $len))
              (then
                (local.set $to
                  (call $alloc (local.get $to) (local.get $len) (i32.const 2) (local.get $size)))))
            (return (local.get $to) (local.get $size))))
        (call $next8 (local.get $ptr) (local.get $left))
        (local.set $used)
        (local.set $c)
        (br_if $wide (i32.gt_u (local.get $c) (i32.const 0xff)))
        (i32.store8 $dst (i32.add (local.get $to) (local.get $size)) (local.get $c))
        (local.set $size (i32.add (local.get $size) (i32.const 1)))
        (local.set $ptr (i32.add (local.get $ptr) (local.get $used)))
        (local.set $left (i32.sub (local.get $left) (local.get $used)))
        (br $next)))
    (local.set $room
      (call $bounded (i64.shl (i64.extend_i32_u (local.get $len)) (i64.const 1))))
    (local.set $to (call $alloc (local.get $to) (local.get $len) (i32.const 2) (local.get $room)))
    (local.set $i (local.get $size))
    (block $widened
      (loop $widen
        (br_if $widened (i32.eqz (local.get $i)))
        (local.set $i (i32.sub (local.get $i) (i32.const 1)))
        (i32.store16 $dst
          (i32.add (local.get $to) (i32.shl (local.get $i) (i32.const 1)))
          (i32.load8_u $dst (i32.add (local.get $to) (local.get $i))))
        (br $widen)))
    (local.set $size (i32.shl (local.get $size) (i32.const 1)))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $left)))
        (call $next8 (local.get $ptr) (local.get $left))
        (local.set $used)
        (local.set $c)
        (local.set $size
          (i32.add (local.get $size)
            (call $put16 (local.get $c) (i32.add (local.get $to) (local.get $size)))))
        (local.set $ptr (i32.add (local.get $ptr) (local.get $used)))
        (local.set $left (i32.sub (local.get $left) (local.get $used)))
        (br $next)))
    (if (i32.lt_u (local.get $size) (local.get $room))
      (then
        (local.set $to
          (call $alloc (local.get $to) (local.get $room) (i32.const 2) (local.get $size)))))
    (local.get $to)
    (i32.or (i32.const 0x80000000) (i32.shr_u (local.get $size) (i32.const 1))))

  ;; Latin-1 as long as it goes, then UTF-16.
  (func (export "utf16-compact") (param $ptr i32) (param $len i32) (result i32 i32)
    (local $to i32) (local $left i32) (local $room i32) (local $size i32) (local $used i32)
    (local $c i32) (local $i i32)
    (local.set $left (call $units (local.get $ptr) (local.get $len)))
    (local.set $to (call $alloc (i32.const 0) (i32.const 0) (i32.const 2) (local.get $len)))
    (block $wide
      (loop $next
        (if (i32.eqz (local.get $left))
          (then
            (if (i32.lt_u (local.get $size) (local.get $len))
              (then
                (local.set $to
                  (call $alloc (local.get $to) (local.get $len) (i32.const 2) (local.get $size)))))
            (return (local.get $to) (local.get $size))))
        (call $next16 (local.get $ptr) (local.get $left))
        (local.set $used)
        (local.set $c)
        (br_if $wide (i32.gt_u (local.get $c) (i32.const 0xff)))
        (i32.store8 $dst (i32.add (local.get $to) (local.get $size)) (local.get $c))
        (local.set $size (i32.add (local.get $size) (i32.const 1)))
        (local.set $ptr (i32.add (local.get $ptr) (local.get $used)))
        (local.set $left (i32.sub (local.get $left) (local.get $used)))
        (br $next)))
    (local.set $room
      (call $bounded (i64.shl (i64.extend_i32_u (local.get $len)) (i64.const 1))))
    (local.set $to (call $alloc (local.get $to) (local.get $len) (i32.const 2) (local.get $room)))
    (local.set $i (local.get $size))
    (block $widened
      (loop $widen
        (br_if $widened (i32.eqz (local.get $i)))
        (local.set $i (i32.sub (local.get $i) (i32.const 1)))
        (i32.store16 $dst
          (i32.add (local.get $to) (i32.shl (local.get $i) (i32.const 1)))
          (i32.load8_u $dst (i32.add (local.get $to) (local.get $i))))
        (br $widen)))
    (local.set $size (i32.shl (local.get $size) (i32.const 1)))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $left)))
        (call $next16 (local.get $ptr) (local.get $left))
        (local.set $used)
        (local.set $c)
        (local.set $size
          (i32.add (local.get $size)
            (call $put16 (local.get $c) (i32.add (local.get $to) (local.get $size)))))
        (local.set $ptr (i32.add (local.get $ptr) (local.get $used)))
        (local.set $left (i32.sub (local.get $left) (local.get $used)))
        (br $next)))
    (if (i32.lt_u (local.get $size) (local.get $room))
      (then
        (local.set $to
          (call $alloc (local.get $to) (local.get $room) (i32.const 2) (local.get $size)))))
    (local.get $to)
    (i32.or (i32.const 0x80000000) (i32.shr_u (local.get $size) (i32.const 1))))

  ;; UTF-16 that says it is; it may fit Latin-1 all the same.
  (func $probably_utf16 (param $ptr i32) (param $len i32) (result i32 i32)
    (local $to i32) (local $bytes i32) (local $i i32)
    (local.set $bytes (call $units (local.get $ptr) (local.get $len)))
    (local.set $to (call $alloc (i32.const 0) (i32.const 0) (i32.const 2) (local.get $bytes)))
    (call $valid16 (local.get $ptr) (local.get $bytes))
    (memory.copy $dst $src (local.get $to) (local.get $ptr) (local.get $bytes))
    (block $latin1
      (loop $next
        (br_if $latin1 (i32.eq (local.get $i) (local.get $bytes)))
        (if (i32.gt_u
              (i32.load16_u $dst (i32.add (local.get $to) (local.get $i)))
              (i32.const 0xff))
          (then
            (return
              (local.get $to) (i32.or (i32.const 0x80000000) (local.get $len)))))
        (local.set $i (i32.add (local.get $i) (i32.const 2)))
        (br $next)))
    (local.set $i (i32.const 0))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $i) (local.get $len)))
        (i32.store8 $dst
          (i32.add (local.get $to) (local.get $i))
          (i32.load8_u $dst
            (i32.add (local.get $to) (i32.shl (local.get $i) (i32.const 1)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (call $alloc (local.get $to) (local.get $bytes) (i32.const 2) (local.get $len))
    (local.get $len))

  ;; Whether a tagged length means UTF-16; the address must be even either way.
  (func $tagged (param $ptr i32) (param $len i32) (result i32)
    (if (i32.and (local.get $ptr) (i32.const 1))
      (then (call $trap (i32.const 7)) (unreachable)))
    (i32.lt_s (local.get $len) (i32.const 0)))

  (func (export "compact-utf8") (param $ptr i32) (param $len i32) (result i32 i32)
    (if (result i32 i32) (call $tagged (local.get $ptr) (local.get $len))
      (then
        (call $utf16_utf8
          (local.get $ptr) (i32.and (local.get $len) (i32.const 0x7fffffff))))
      (else (call $latin1_utf8 (local.get $ptr) (local.get $len)))))

  (func (export "compact-utf16") (param $ptr i32) (param $len i32) (result i32 i32)
    (if (result i32 i32) (call $tagged (local.get $ptr) (local.get $len))
      (then
        (call $utf16_utf16
          (local.get $ptr) (i32.and (local.get $len) (i32.const 0x7fffffff))))
      (else (call $latin1_utf16 (local.get $ptr) (local.get $len)))))

  (func (export "compact-compact") (param $ptr i32) (param $len i32) (result i32 i32)
    (if (result i32 i32) (call $tagged (local.get $ptr) (local.get $len))
      (then
        (call $probably_utf16
          (local.get $ptr) (i32.and (local.get $len) (i32.const 0x7fffffff))))
      (else (call $latin1_latin1 (local.get $ptr) (local.get $len)))))
)
