//! Accesses of memories other than those with 32-bit indexes and pages of 64 KiB.

use super::check;
use expect_test::expect;

#[test]
fn a_wide_index_is_compared_once() {
    check(
        "(module (memory i64 1) (func (param i64) (result i64)
           (i64.add (i64.load offset=8 (local.get 0)) (i64.load (local.get 0)))))",
        &expect![[r#"
            0    cmp rdi,[r15+216]
            7    ja 19
            9    mov rax,[r14+rdi+8] ; MemoryOutOfBounds
            14   add rax,[r14+rdi] ; MemoryOutOfBounds
            18   ret
            19 > ud2 ; MemoryOutOfBounds
        "#]],
    );
}

#[test]
fn a_wide_index_that_fits_32_bits_is_not_compared() {
    check(
        "(module (memory i64 1) (func (param i32) (result i64)
           (i64.add (i64.load (i64.extend_i32_u (local.get 0))) (i64.load (i64.const 64)))))",
        &expect![[r#"
            0    mov rax,[r14+rdi] ; MemoryOutOfBounds
            4    add rax,[r14+64] ; MemoryOutOfBounds
            8    ret
        "#]],
    );
}

#[test]
fn a_far_offset_may_wrap() {
    check(
        "(module (memory i64 1) (func (param i64) (result i32)
           (i32.load offset=0x100000000 (local.get 0))))",
        &expect![[r#"
            0    mov rsi,4294967296
            10   add rdi,rsi
            13   mov rsi,4294967296
            23   cmp rdi,rsi
            26   jb 42
            28   cmp rdi,[r15+216]
            35   ja 42
            37   mov eax,[r14+rdi] ; MemoryOutOfBounds
            41   ret
            42 > ud2 ; MemoryOutOfBounds
        "#]],
    );
}

#[test]
fn in_pages_of_one_byte_the_last_byte_is_compared() {
    check(
        "(module (memory 1 (pagesize 1)) (func (param i32) (result i32)
           (i32.load offset=8 (local.get 0))))",
        &expect![[r#"
            0    lea rsi,[rdi+12]
            4    cmp rsi,[r15+216]
            11   ja 19
            13   mov eax,[r14+rdi+8] ; MemoryOutOfBounds
            18   ret
            19 > ud2 ; MemoryOutOfBounds
        "#]],
    );
    check(
        "(module (memory i64 1 (pagesize 1)) (func (param i64) (result i32)
           (i32.load offset=8 (local.get 0))))",
        &expect![[r#"
            0    cmp rdi,[r15+216]
            7    ja 28
            9    lea rsi,[rdi+12]
            13   cmp rsi,[r15+216]
            20   ja 28
            22   mov eax,[r14+rdi+8] ; MemoryOutOfBounds
            27   ret
            28 > ud2 ; MemoryOutOfBounds
        "#]],
    );
}

#[test]
fn sizes_are_in_pages_of_the_memory() {
    check(
        "(module (memory i64 1) (func (result i64) (memory.size)))",
        &expect![[r#"
            0    mov rax,[r15+216]
            7    shr rax,16
            11   ret
        "#]],
    );
    check(
        "(module (memory 1 (pagesize 1)) (func (result i32) (memory.size)))",
        &expect![[r#"
            0    mov rdx,[r15+216]
            7    mov eax,edx
            9    ret
        "#]],
    );
}

#[test]
fn a_table_with_wide_indexes_compares_all_of_them() {
    check(
        "(module (type $t (func)) (table i64 4 funcref) (func (param i64)
           (call_indirect (type $t) (local.get 0))))",
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
}

#[test]
fn an_atomic_access_is_locked_and_aligned() {
    check(
        "(module (memory 1 1 shared) (func (param i32 i32) (result i32)
           (i32.atomic.rmw.add (local.get 0) (local.get 1))))",
        &expect![[r#"
            0    test edi,3
            6    jne 17
            8    lock xadd [r14+rdi],esi ; MemoryOutOfBounds
            14   mov eax,esi
            16   ret
            17 > ud2 ; UnalignedAtomic
        "#]],
    );
    check(
        "(module (memory 1 1 shared) (func (param i32 i32) (result i32)
           (i32.atomic.rmw8.and_u (local.get 0) (local.get 1))))",
        &expect![[r#"
            0    mov r8,rsi
            3    movzx eax,byte [r14+rdi] ; MemoryOutOfBounds
            8  > mov esi,eax
            10   and esi,r8d
            13   lock cmpxchg [r14+rdi],sil ; MemoryOutOfBounds
            19   jne 8
            21   movzx eax,al
            24   ret
        "#]],
    );
    check(
        "(module (memory 1 1 shared) (func (param i32 i64 i64) (result i64)
           (i64.atomic.rmw.cmpxchg (local.get 0) (local.get 1) (local.get 2))))",
        &expect![[r#"
            0    test edi,7
            6    jne 18
            8    mov rax,rsi
            11   lock cmpxchg [r14+rdi],rdx ; MemoryOutOfBounds
            17   ret
            18 > ud2 ; UnalignedAtomic
        "#]],
    );
    check(
        "(module (memory 1 1 shared) (func (param i32 i32)
           (i32.atomic.store offset=2 (local.get 0) (i32.atomic.load8_u (local.get 1)))
           (atomic.fence)))",
        &expect![[r#"
            0    movzx esi,byte [r14+rsi] ; MemoryOutOfBounds
            5    lea r8d,[rdi+2]
            9    test r8d,3
            16   jne 27
            18   xchg esi,[r14+rdi+2] ; MemoryOutOfBounds
            23   mfence
            26   ret
            27 > ud2 ; UnalignedAtomic
        "#]],
    );
}
