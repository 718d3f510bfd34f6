//! V4 against a second thread, which may write a shared memory and grow it between any two
//! instructions: what was compared is what is used, and a length is what the definition said.

use crate::harness::*;
use cellwall_abi::TrapCode;
use cellwall_abi::context::definition::LENGTH;
use cellwall_verify::Rule;
use iced_x86::code_asm::*;

type Asm = Result<(), iced_x86::IcedError>;

/// The base of the shared memory is in `rcx`, the address of its definition in `rdx`, the index in
/// `rdi`: `build` ends with an access that needs a comparison, and branches to `out` if it fails.
fn shared(build: impl FnOnce(&mut Fun, CodeLabel) -> Asm) -> impl FnOnce(&mut Fun) {
    move |f| {
        (f.memory64, f.shared) = (true, true);
        let mut out = f.a.create_label();
        f.a.sub(rsp, 24).unwrap();
        f.frame(24);
        f.a.mov(rcx, qword_ptr(r15 + At::memory(1))).unwrap();
        f.a.mov(rdx, qword_ptr(r15 + At::memory(1) + LENGTH as i32))
            .unwrap();
        build(f, out).unwrap();
        f.a.add(rsp, 24).unwrap();
        f.frame(0);
        f.a.ret().unwrap();
        f.frame(24);
        f.trap(&mut out, TrapCode::MemoryOutOfBounds);
    }
}

fn length() -> AsmMemoryOperand {
    qword_ptr(rdx + LENGTH)
}

#[track_caller]
fn accepted(build: impl FnOnce(&mut Fun, CodeLabel) -> Asm) {
    accept(I64_TO_I64, shared(build));
}

#[track_caller]
fn refused(build: impl FnOnce(&mut Fun, CodeLabel) -> Asm) {
    refused_by(Rule::MemoryAccess, build);
}

#[track_caller]
fn refused_by(rule: Rule, build: impl FnOnce(&mut Fun, CodeLabel) -> Asm) {
    refuse(I64_TO_I64, rule, shared(build));
}

fn load(f: &mut Fun) -> Asm {
    f.access().mov(rax, qword_ptr(rcx + rdi))
}

#[test]
fn what_was_compared_is_what_is_used() {
    // An index out of the shared memory itself: read once, compared, used.
    accepted(|f, out| {
        f.access().mov(rdi, qword_ptr(rcx + 8))?;
        f.a.cmp(rdi, length())?;
        f.a.ja(out)?;
        load(f)
    });
    // Read again after the comparison: it may be another one.
    refused(|f, out| {
        f.access().mov(rdi, qword_ptr(rcx + 8))?;
        f.a.cmp(rdi, length())?;
        f.a.ja(out)?;
        f.access().mov(rdi, qword_ptr(rcx + 8))?;
        load(f)
    });
    // Compared where it lies.
    refused(|f, out| {
        f.a.mov(rax, length())?;
        f.access().cmp(qword_ptr(rcx + 8), rax)?;
        f.a.ja(out)?;
        f.access().mov(rdi, qword_ptr(rcx + 8))?;
        load(f)
    });
    // Between comparison and branch.
    refused(|f, out| {
        f.a.cmp(rdi, length())?;
        f.access().mov(rdi, qword_ptr(rcx + 8))?;
        f.a.ja(out)?;
        load(f)
    });
    // Exchanged with what is there, or added to it.
    for exchange in [false, true] {
        refused(move |f, out| {
            f.a.cmp(rdi, length())?;
            f.a.ja(out)?;
            match exchange {
                true => f.access().xchg(qword_ptr(rcx + 8), rdi)?,
                false => f.access().lock().xadd(qword_ptr(rcx + 8), rdi)?,
            }
            load(f)
        });
    }
    // Of `cmpxchg`, the value that was found is in rax, whether it was the expected one or not.
    refused(|f, out| {
        f.a.mov(rax, rdi)?;
        f.a.cmp(rax, length())?;
        f.a.ja(out)?;
        f.access().lock().cmpxchg(qword_ptr(rcx + 8), rdi)?;
        f.access().mov(rax, qword_ptr(rcx + rax))
    });
}

#[test]
fn an_index_is_kept_where_no_other_thread_writes() {
    let kept = |keep: fn(&mut Fun) -> Asm| {
        move |f: &mut Fun, out: CodeLabel| {
            f.a.cmp(rdi, length())?;
            f.a.ja(out)?;
            keep(f)?;
            load(f)
        }
    };
    accepted(kept(|f| {
        f.a.mov(qword_ptr(rsp + 8), rdi)?;
        f.a.xor(edi, edi)?;
        f.a.mov(rdi, qword_ptr(rsp + 8))
    }));
    refused(kept(|f| {
        f.access().mov(qword_ptr(rcx + 8), rdi)?;
        f.a.xor(edi, edi)?;
        f.access().mov(rdi, qword_ptr(rcx + 8))
    }));
    // Half of it.
    refused(kept(|f| {
        f.a.mov(qword_ptr(rsp + 8), rdi)?;
        f.access().mov(eax, dword_ptr(rcx + 8))?;
        f.a.mov(dword_ptr(rsp + 12), eax)?;
        f.a.mov(rdi, qword_ptr(rsp + 8))
    }));
}

#[test]
fn a_length_is_what_the_definition_said() {
    // In a register it may be old: memories do not shrink.
    accepted(|f, out| {
        f.a.mov(rsi, length())?;
        f.access().mov(rax, qword_ptr(rcx + 8))?;
        f.a.cmp(rdi, rsi)?;
        f.a.ja(out)?;
        load(f)
    });
    // Loaded twice, of which each is one.
    accepted(|f, out| {
        f.a.cmp(rdi, length())?;
        f.a.ja(out)?;
        f.a.mov(rsi, length())?;
        f.a.cmp(rdi, rsi)?;
        f.a.ja(out)?;
        load(f)
    });
    // In two halves, which another thread may tear.
    for offset in [0, 4] {
        refused_by(Rule::Address, move |f, out| {
            f.a.mov(esi, dword_ptr(rdx + LENGTH + offset))?;
            f.a.cmp(rdi, rsi)?;
            f.a.ja(out)?;
            load(f)
        });
    }
    // Compared with the width of an access, then loaded again and made smaller by it.
    refused(|f, out| {
        f.a.mov(rsi, length())?;
        f.a.cmp(rsi, 8)?;
        f.a.jb(out)?;
        f.a.mov(rsi, length())?;
        f.a.sub(rsi, 8)?;
        f.a.cmp(rdi, rsi)?;
        f.a.ja(out)?;
        load(f)
    });
    // By way of the memory, where another thread makes it larger.
    refused(|f, out| {
        f.a.mov(rsi, length())?;
        f.access().mov(qword_ptr(rcx + 8), rsi)?;
        f.access().mov(rsi, qword_ptr(rcx + 8))?;
        f.a.cmp(rdi, rsi)?;
        f.a.ja(out)?;
        load(f)
    });
    // From a place beside the definition, or written by the guest.
    refused_by(Rule::Address, |f, out| {
        f.a.cmp(rdi, qword_ptr(rdx + LENGTH + 8))?;
        f.a.ja(out)?;
        load(f)
    });
    refused_by(Rule::Address, |f, out| {
        f.a.mov(length(), rdi)?;
        f.a.cmp(rdi, length())?;
        f.a.ja(out)?;
        load(f)
    });
    // Of another memory.
    refused(|f, out| {
        f.a.mov(rdx, qword_ptr(r15 + At::memory(0) + LENGTH as i32))?;
        f.a.cmp(rdi, length())?;
        f.a.ja(out)?;
        load(f)
    });
}

#[test]
fn a_shared_memory_is_found_by_its_definition_only() {
    // The context holds the address of the definition, no length.
    refused_by(Rule::Kind, |f, out| {
        f.a.cmp(rdi, qword_ptr(r15 + At::memory(1) + LENGTH as i32))?;
        f.a.ja(out)?;
        load(f)
    });
    // The base is data for nobody, and stays where it was: what grew has not moved.
    accepted(|f, out| {
        f.a.cmp(rdi, length())?;
        f.a.ja(out)?;
        f.a.mov(qword_ptr(rsp), rcx)?;
        f.a.mov(qword_ptr(rsp + 8), rdi)?;
        f.a.xor(edi, edi)?;
        f.a.call(CALLEE)?;
        f.a.mov(rcx, qword_ptr(rsp))?;
        f.a.mov(rdi, qword_ptr(rsp + 8))?;
        load(f)
    });
    refused_by(Rule::Kind, |f, _| {
        f.access().mov(qword_ptr(rcx + 8), rcx)?;
        f.a.mov(eax, edi)
    });
    refused_by(Rule::Address, |f, out| {
        f.a.mov(rcx, qword_ptr(rdx))?;
        f.a.cmp(rdi, length())?;
        f.a.ja(out)?;
        load(f)
    });
}
