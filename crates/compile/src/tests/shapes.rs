//! The shapes that the verifier knows, and what selection makes of common patterns.

use super::{baseline, check, check_expr, compile, modern};
use expect_test::expect;

#[test]
fn a_static_offset_and_a_constant_index_fold_into_the_address() {
    check_expr(
        "i32",
        "i32",
        "(i32.load offset=16 (local.get 0))",
        &expect![[r#"
            0    mov eax,[r14+rdi+16] ; MemoryOutOfBounds
            5    ret
        "#]],
    );
    check_expr(
        "i32",
        "i32",
        "(i32.load offset=16 (i32.const 4))",
        &expect![[r#"
            0    mov eax,[r14+20] ; MemoryOutOfBounds
            4    ret
        "#]],
    );
}

#[test]
fn a_sum_of_indexes_does_not_fold_because_it_wraps() {
    check_expr(
        "i32 i32",
        "i32",
        "(i32.load (i32.add (local.get 0) (i32.const 8)))",
        &expect![[r#"
            0    add edi,8
            3    mov eax,[r14+rdi] ; MemoryOutOfBounds
            7    ret
        "#]],
    );
}

#[test]
fn a_load_moves_into_its_only_user_but_not_past_a_store() {
    check_expr(
        "i32 i32",
        "i32",
        "(i32.sub (local.get 1) (i32.load (local.get 0)))",
        &expect![[r#"
            0    mov rax,rsi
            3    sub eax,[r14+rdi] ; MemoryOutOfBounds
            7    ret
        "#]],
    );
    check_expr(
        "i32 i32",
        "i32",
        "(local.get 1) (i32.load (local.get 0)) (i32.store (local.get 1) (i32.const 7)) i32.sub",
        &expect![[r#"
            0    mov edx,[r14+rdi] ; MemoryOutOfBounds
            4    mov dword [r14+rsi],7 ; MemoryOutOfBounds
            12   mov rax,rsi
            15   sub eax,edx
            17   ret
        "#]],
    );
}

#[test]
fn a_store_of_a_changed_load_is_one_instruction() {
    check(
        "(module (memory 1) (func (param i32)
           (i32.store offset=4 (local.get 0) (i32.add (i32.load offset=4 (local.get 0)) (i32.const 1)))))",
        &expect![[r#"
            0    add dword [r14+rdi+4],1 ; MemoryOutOfBounds
            6    ret
        "#]],
    );
    // Not of a load elsewhere.
    check(
        "(module (memory 1) (func (param i32)
           (i32.store offset=4 (local.get 0) (i32.add (i32.load offset=8 (local.get 0)) (i32.const 1)))))",
        &expect![[r#"
            0    mov ecx,[r14+rdi+8] ; MemoryOutOfBounds
            5    add ecx,1
            8    mov [r14+rdi+4],ecx ; MemoryOutOfBounds
            13   ret
        "#]],
    );
}

#[test]
fn a_loop_compares_and_branches_back() {
    check(
        "(module (memory 1) (func (param i32 i32) (result i32) (local i32)
           (loop
             (local.set 2 (i32.add (local.get 2) (i32.load (local.get 0))))
             (local.set 0 (i32.add (local.get 0) (i32.const 4)))
             (br_if 0 (i32.lt_u (local.get 0) (local.get 1))))
           (local.get 2)))",
        &expect![[r#"
            0    xor eax,eax
            2    add eax,[r14+rdi] ; MemoryOutOfBounds
            6    lea edi,[rdi+4]
            9    cmp edi,esi
            11   jae 24
            13 > add eax,[r14+rdi] ; MemoryOutOfBounds
            17   lea edi,[rdi+4]
            20   cmp edi,esi
            22   jb 13
            24 > ret
        "#]],
    );
}

#[test]
fn division_traps_by_a_test_or_by_the_processor() {
    check_expr(
        "i32 i32",
        "i32",
        "(i32.div_s (local.get 0) (local.get 1))",
        &expect![[r#"
            0    test esi,esi
            2    je 11
            4    mov rax,rdi
            7    cdq
            8    idiv esi ; IntegerOverflow
            10   ret
            11 > ud2 ; IntegerDivisionByZero
        "#]],
    );
    check_expr(
        "i32 i32",
        "i32",
        "(i32.rem_u (local.get 0) (local.get 1))",
        &expect![[r#"
            0    xor edx,edx
            2    mov rax,rdi
            5    div esi ; IntegerDivisionByZero
            7    mov rax,rdx
            10   ret
        "#]],
    );
    check_expr(
        "i64 i64",
        "i64",
        "(i64.rem_s (local.get 0) (local.get 1))",
        &expect![[r#"
            0    test rsi,rsi
            3    je 23
            5    mov rax,rdi
            8    cmp rsi,-1
            12   je 25
            14   cqo
            16   idiv rsi ; IntegerOverflow
            19 > mov rax,rdx
            22   ret
            23 > ud2 ; IntegerDivisionByZero
            25 > xor edx,edx
            27   jmp 19
        "#]],
    );
}

#[test]
fn calls_are_direct_through_the_context_or_through_a_table() {
    check(
        "(module (func (param i32) (result i32) (call 1 (local.get 0))) (func (param i32) (result i32) (local.get 0)))",
        &expect![[r#"
            0    sub rsp,8
            4    call 9 ; f1
            9    add rsp,8
            13   ret
        "#]],
    );
    check(
        r#"(module (import "a" "b" (func (param i64))) (func (call 0 (i64.const 5))))"#,
        &expect![[r#"
            0    sub rsp,8
            4    mov edi,5
            9    lea r11,[r15+208]
            16   call qword [r15+208]
            23   add rsp,8
            27   ret
        "#]],
    );
    check(
        "(module (table 4 funcref) (type (func (result i32)))
           (func (param i32) (result i32) (call_indirect (type 0) (local.get 0))))",
        &expect![[r#"
            0    sub rsp,8
            4    mov r11,rdi
            7    cmp r11,[r15+216]
            14   jae 42
            16   shl r11,5
            20   add r11,[r15+208]
            27   cmp dword [r11+24],1
            32   jne 44
            34   call qword [r11]
            37   add rsp,8
            41   ret
            42 > ud2 ; TableOutOfBounds
            44 > cmp dword [r11+24],0
            49   je 53
            51   ud2 ; BadSignature
            53 > ud2 ; IndirectCallToNull
        "#]],
    );
    check(
        r#"(module (import "a" "t" (table 1 funcref)) (type (func))
           (func (param i32) (call_indirect (type 0) (local.get 0))))"#,
        &expect![[r#"
            0    sub rsp,8
            4    mov r11,rdi
            7    mov r10,[r15+208]
            14   cmp r11,[r10+8]
            18   jae 48
            20   shl r11,5
            24   add r11,[r10]
            27   mov r10d,[r15+192]
            34   cmp [r11+24],r10d
            38   jne 50
            40   call qword [r11]
            43   add rsp,8
            47   ret
            48 > ud2 ; TableOutOfBounds
            50 > cmp dword [r11+24],0
            55   je 59
            57   ud2 ; BadSignature
            59 > ud2 ; IndirectCallToNull
        "#]],
    );
    check(
        "(module (memory 1) (func (result i32) (memory.grow (i32.const 1))))",
        &expect![[r#"
            0    sub rsp,8
            4    xor edi,edi
            6    mov esi,1
            11   call qword [r15+40]
            15   mov eax,eax
            17   add rsp,8
            21   ret
        "#]],
    );
}

#[test]
fn a_switch_goes_through_a_table_in_rodata() {
    check(
        "(module (func (param i32) (result i32)
           (block (block (block (br_table 0 1 0 2 (local.get 0)))
             (return (i32.const 10)))
             (return (i32.const 20)))
           (i32.const 30)))",
        &expect![[r#"
            0    test edi,edi
            2    je 14
            4    cmp edi,2
            7    jb 20
            9    cmp edi,3
            12   jae 26
            14 > mov eax,10
            19   ret
            20 > mov eax,20
            25   ret
            26 > mov eax,30
            31   ret
        "#]],
    );
}

#[test]
fn what_does_not_fit_in_registers_passes_in_the_block() {
    check(
        "(module (func (param i32 i32 i32 i32 i32 i32 i32 i64) (result i64) (local.get 7)))",
        &expect![[r#"
            0    mov rdx,[r15+8]
            4    mov rax,[rdx+304]
            11   ret
        "#]],
    );
    check(
        "(module (func (result i32 i32 i32 i32 i32) (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5)))",
        &expect![[r#"
            0    mov eax,1
            5    mov edx,2
            10   mov ecx,3
            15   mov esi,4
            20   mov r9d,5
            26   mov r11,[r15+8]
            30   mov [r11+288],r9
            37   ret
        "#]],
    );
}

#[test]
fn floats() {
    check_expr(
        "f64 f64",
        "f64",
        "(f64.min (local.get 0) (local.get 1))",
        &expect![[r#"
            0    ucomisd xmm0,xmm1
            4    je 11
            6    minsd xmm0,xmm1
            10 > ret
            11 > jp 18
            13   orps xmm0,xmm1
            16   jmp 10
            18 > addsd xmm0,xmm1
            22   jmp 10
        "#]],
    );
    check_expr(
        "f64",
        "i32",
        "(i32.trunc_f64_s (local.get 0))",
        &expect![[r#"
            0    cvttsd2si eax,xmm0
            4    cmp eax,1
            7    jo 10
            9  > ret
            10 > ucomisd xmm0,xmm0
            14   jp 38
            16   ucomisd xmm0,[rel 24] ; rodata+0
            24   jbe 40
            26   ucomisd xmm0,[rel 34] ; rodata+8
            34   jae 40
            36   jmp 9
            38 > ud2 ; BadConversionToInteger
            40 > ud2 ; IntegerOverflow
        "#]],
    );
    check_expr(
        "f64 f64",
        "i32",
        "(f64.eq (local.get 0) (local.get 1))",
        &expect![[r#"
            0    cmpeqsd xmm0,xmm1
            5    movd eax,xmm0
            9    and eax,1
            12   ret
        "#]],
    );
    check_expr(
        "f32 f32",
        "f32",
        "(select (local.get 0) (local.get 1) (f32.lt (local.get 0) (local.get 1)))",
        &expect![[r#"
            0    ucomiss xmm1,xmm0
            3    movaps xmm5,xmm0
            6    movaps xmm0,xmm1
            9    jbe 14
            11   movaps xmm0,xmm5
            14 > ret
        "#]],
    );
}

#[test]
fn other_memories_and_imported_ones_have_their_base_loaded() {
    check(
        "(module (memory 1) (memory 1) (func (param i32) (result i32) (i32.load 1 offset=8 (local.get 0))))",
        &expect![[r#"
            0    mov rdx,[r15+224]
            7    mov eax,[rdx+rdi+8] ; MemoryOutOfBounds
            11   ret
        "#]],
    );
    check(
        r#"(module (import "a" "m" (memory 1)) (func (result i32) (memory.size)))"#,
        &expect![[r#"
            0    mov rsi,[r15+216]
            7    mov rsi,[rsi+8]
            11   shr rsi,16
            15   mov eax,esi
            17   ret
        "#]],
    );
}

#[test]
fn a_small_reservation_is_checked_and_a_full_one_is_not() {
    let small = cellwall_abi::Target {
        memory_reservation_bytes: 1 << 20,
        ..modern()
    };
    let wat = "(module (memory 1) (func (param i32) (result i32) (i32.load (local.get 0))))";
    expect![[r#"
        0    cmp rdi,[r15+216]
        7    ja 14
        9    mov eax,[r14+rdi] ; MemoryOutOfBounds
        13   ret
        14 > ud2 ; MemoryOutOfBounds
    "#]]
    .assert_eq(&super::assembly(&compile(wat, &small)));
    expect![[r#"
        0    mov eax,[r14+rdi] ; MemoryOutOfBounds
        4    ret
    "#]]
    .assert_eq(&super::assembly(&compile(wat, &modern())));
}

#[test]
fn old_processors_get_longer_sequences() {
    let wat = "(module (func (param i32) (result i32) (i32.ctz (local.get 0))))";
    expect![[r#"
        0    mov esi,32
        5    mov rax,rsi
        8    bsf eax,edi
        11   cmove eax,esi
        14   ret
    "#]]
    .assert_eq(&super::assembly(&compile(wat, &baseline())));
    expect![[r#"
        0    tzcnt eax,edi
        4    ret
    "#]]
    .assert_eq(&super::assembly(&compile(wat, &modern())));
}

#[test]
fn a_path_that_does_not_call_has_no_frame() {
    check(
        "(module (func $f (param i32) (result i32)
           (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
             (then (local.get 0))
             (else (i32.add (call $f (i32.sub (local.get 0) (i32.const 1))) (i32.const 7))))))",
        &expect![[r#"
            0    cmp edi,2
            3    jae 9
            5    mov rax,rdi
            8    ret
            9  > sub rsp,8
            13   lea edi,[rdi-1]
            16   call 21 ; f0
            21   add eax,7
            24   add rsp,8
            28   ret
        "#]],
    );
}

#[test]
fn what_lives_across_a_call_is_in_a_callee_saved_register() {
    check(
        "(module (memory 1) (func $f (param i32) (result i32)
           (i32.add (call $f (i32.load (local.get 0))) (local.get 0))))",
        &expect![[r#"
            0    sub rsp,8
            4    mov [rsp],rbp
            8    mov r8,rdi
            11   mov edi,[r14+rdi] ; MemoryOutOfBounds
            15   mov rbp,r8
            18   call 23 ; f0
            23   mov rdi,rbp
            26   add eax,edi
            28   mov rbp,[rsp]
            32   add rsp,8
            36   ret
        "#]],
    );
}

#[test]
fn a_carry_stays_in_the_flags() {
    check_expr(
        "i64 i64 i64 i64",
        "i64 i64",
        "(i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3))",
        &expect![[r#"
            0    mov rax,rdx
            3    add rax,rdi
            6    mov rdx,rsi
            9    adc rdx,rcx
            12   ret
        "#]],
    );
    check_expr(
        "i64 i64 i64 i64",
        "i64 i64",
        "(i64.sub128 (local.get 0) (local.get 1) (local.get 2) (local.get 3))",
        &expect![[r#"
            0    mov rax,rdi
            3    sub rax,rdx
            6    mov rdx,rsi
            9    sbb rdx,rcx
            12   ret
        "#]],
    );
    // What compilers make of it without the operator.
    check_expr(
        "i64 i64 i64",
        "i64",
        "(i64.add (local.get 2) (i64.extend_i32_u
           (i64.lt_u (i64.add (local.get 0) (local.get 1)) (local.get 0))))",
        &expect![[r#"
            0    add rsi,rdi
            3    mov rax,rdx
            6    adc rax,0
            10   ret
        "#]],
    );
    check_expr(
        "i32 i32 i32",
        "i32",
        "(i32.add (local.get 2) (i32.gt_u (local.get 0) (local.get 1)))",
        &expect![[r#"
            0    cmp esi,edi
            2    mov rax,rdx
            5    adc eax,0
            8    ret
        "#]],
    );
}

#[test]
fn a_comparison_that_is_no_carry_is_a_value() {
    // Signed.
    check_expr(
        "i32 i32 i32",
        "i32",
        "(i32.add (local.get 2) (i32.lt_s (local.get 0) (local.get 1)))",
        &expect![[r#"
            0    xor r8d,r8d
            3    cmp edi,esi
            5    setl r8b
            9    mov rax,rdx
            12   add eax,r8d
            15   ret
        "#]],
    );
}

#[test]
fn a_saturating_conversion_converts_first() {
    check_expr(
        "f64",
        "i32",
        "(i32.trunc_sat_f64_s (local.get 0))",
        &expect![[r#"
            0    cvttsd2si eax,xmm0
            4    cmp eax,1
            7    jo 10
            9  > ret
            10 > ucomisd xmm0,[rel 18] ; rodata+0
            18   jp 26
            20   jb 9
            22   not eax
            24   jmp 9
            26 > xor eax,eax
            28   jmp 9
        "#]],
    );
    check_expr(
        "f32",
        "i64",
        "(i64.trunc_sat_f32_s (local.get 0))",
        &expect![[r#"
            0    cvttss2si rax,xmm0
            5    cmp rax,1
            9    jo 12
            11 > ret
            12 > ucomiss xmm0,[rel 19] ; rodata+0
            19   jp 28
            21   jb 11
            23   not rax
            26   jmp 11
            28 > xor eax,eax
            30   jmp 11
        "#]],
    );
}

#[test]
fn a_low_half_does_not_move_past_its_user() {
    check_expr(
        "i64 i64 i64 i32",
        "i64",
        "(local.set 0 (i64.add (local.get 0) (local.get 1)))
         (i64.store (local.get 3) (local.get 0))
         (i64.add (local.get 2) (i64.extend_i32_u (i64.lt_u (local.get 0) (local.get 1))))",
        &expect![[r#"
            0    add rdi,rsi
            3    mov [r14+rcx],rdi ; MemoryOutOfBounds
            7    cmp rdi,rsi
            10   mov rax,rdx
            13   adc rax,0
            17   ret
        "#]],
    );
}

#[test]
fn both_halves_of_a_wide_product_are_one_multiplication() {
    check_expr(
        "i64 i64",
        "i64 i64",
        "(i64.mul_wide_u (local.get 0) (local.get 1))",
        &expect![[r#"
            0    mov rax,rdi
            3    mul rsi
            6    ret
        "#]],
    );
}
