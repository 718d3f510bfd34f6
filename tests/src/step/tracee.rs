//! A process under the eyes of this one: started, stepped, read, written and ended.
//!
//! Requires that one thread makes it and does all with it (the kernel takes orders from that thread
//! alone; the type is neither `Send` nor `Sync`). Guarantees that no wait is longer than the deadline:
//! a second thread, which does nothing but that, kills the process when it passes, and the wait ends
//! with what the kernel says of it. Deliberately knows nothing of guests.
//!
//! Where tracing is not permitted (a seccomp filter, Yama's scope 3), starting fails and says so;
//! there is no fallback, so that no run passes without having looked.

use nix::libc::{user_fpregs_struct, user_regs_struct};
use nix::sys::ptrace::{self, Options, regset};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::marker::PhantomData;
use std::os::unix::fs::FileExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the second thread looks at the clock.
const TICK: Duration = Duration::from_millis(20);

/// General-purpose registers, as the kernel hands them out.
pub type Registers = user_regs_struct;
/// Vector registers, as the kernel hands them out.
pub type Vectors = user_fpregs_struct;

/// Why the process stands still.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stop {
    /// A signal, which it has not seen and never will.
    Signal(Signal),
    /// It is no more: how it ended.
    Ended(String),
}

/// When a process is to be killed; `None` once it is dead, and nobody may use its number.
#[derive(Debug)]
struct Deadline {
    at: Option<Instant>,
    passed: bool,
    living: bool,
}

/// A traced process.
#[derive(Debug)]
pub struct Tracee {
    pid: Pid,
    memory: File,
    commands: ChildStdin,
    deadline: Arc<Mutex<Deadline>>,
    _child: Child,
    _of_this_thread: PhantomData<*const ()>,
}

impl Tracee {
    /// Starts a process that asks to be traced and then raises a signal.
    ///
    /// # Errors
    /// If it cannot be started or not be traced; both are told in words.
    pub fn start(mut command: Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let commands = child.stdin.take().expect("it is piped");
        let pid = Pid::from_raw(child.id() as i32);
        let deadline = Arc::new(Mutex::new(Deadline {
            at: Some(Instant::now() + Duration::from_secs(20)),
            passed: false,
            living: true,
        }));
        watch(pid, deadline.clone());
        match waitpid(pid, Some(WaitPidFlag::__WALL))? {
            WaitStatus::Stopped(..) => {}
            other => {
                lock(&deadline).living = false;
                return Err(io::Error::other(format!(
                    "the stepped process cannot be traced ({other:?}): the oracle needs ptrace of its own \
                     children, which a seccomp filter or kernel.yama.ptrace_scope = 3 forbids"
                )));
            }
        }
        let options = Options::PTRACE_O_EXITKILL;
        ptrace::setoptions(pid, options)?;
        let memory = OpenOptions::new()
            .read(true)
            .write(true)
            .open(format!("/proc/{pid}/mem"))?;
        lock(&deadline).at = None;
        Ok(Self {
            pid,
            memory,
            commands,
            deadline,
            _child: child,
            _of_this_thread: PhantomData,
        })
    }

    /// Its number.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// From now on it has this long, until the next call.
    pub fn give(&mut self, time: Duration) {
        lock(&self.deadline).at = Some(Instant::now() + time);
    }

    /// It stands still, for as long as its tracer likes.
    pub fn rest(&mut self) {
        lock(&self.deadline).at = None;
    }

    /// Whether it was killed because its time was over.
    pub fn was_late(&self) -> bool {
        lock(&self.deadline).passed
    }

    /// Runs one instruction.
    ///
    /// # Errors
    /// If the kernel refuses; not if the process ends.
    pub fn step(&mut self) -> io::Result<Stop> {
        match ptrace::step(self.pid, None) {
            Err(nix::Error::ESRCH) => {}
            other => other?,
        }
        self.wait()
    }

    /// Runs until the next signal.
    ///
    /// # Errors
    /// As for [`step`](Self::step).
    pub fn resume(&mut self) -> io::Result<Stop> {
        match ptrace::cont(self.pid, None) {
            Err(nix::Error::ESRCH) => {}
            other => other?,
        }
        self.wait()
    }

    /// Runs until the next signal, and lets it see this one first.
    ///
    /// # Errors
    /// As for [`step`](Self::step).
    pub fn resume_signalled(&mut self, signal: Signal) -> io::Result<Stop> {
        match ptrace::cont(self.pid, signal) {
            Err(nix::Error::ESRCH) => {}
            other => other?,
        }
        self.wait()
    }

    /// Lets it run, hands it bytes, and waits for its next signal.
    ///
    /// # Errors
    /// As for [`step`](Self::step).
    pub fn resume_with(&mut self, parts: &[&[u8]]) -> io::Result<Stop> {
        match ptrace::cont(self.pid, None) {
            Err(nix::Error::ESRCH) => {}
            other => other?,
        }
        for part in parts {
            // If nobody reads, the wait tells why.
            if self.commands.write_all(part).is_err() {
                break;
            }
        }
        self.wait()
    }

    fn wait(&mut self) -> io::Result<Stop> {
        let status = waitpid(self.pid, Some(WaitPidFlag::__WALL))?;
        Ok(match status {
            WaitStatus::Stopped(_, signal) => Stop::Signal(signal),
            other => {
                let mut deadline = lock(&self.deadline);
                deadline.living = false;
                Stop::Ended(match deadline.passed {
                    true => "it was killed, since its time was over".into(),
                    false => format!("{other:?}"),
                })
            }
        })
    }

    /// Its registers; only while it stands still.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn registers(&self) -> io::Result<Registers> {
        Ok(ptrace::getregs(self.pid)?)
    }

    /// Sets its registers.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn set_registers(&mut self, registers: Registers) -> io::Result<()> {
        Ok(ptrace::setregs(self.pid, registers)?)
    }

    /// Its vector registers.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn vectors(&self) -> io::Result<Vectors> {
        Ok(ptrace::getregset::<regset::NT_PRFPREG>(self.pid)?)
    }

    /// Sets its vector registers.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn set_vectors(&mut self, vectors: Vectors) -> io::Result<()> {
        Ok(ptrace::setregset::<regset::NT_PRFPREG>(self.pid, vectors)?)
    }

    /// Reads its memory.
    ///
    /// # Errors
    /// If a byte is not mapped.
    pub fn read(&self, address: u64, into: &mut [u8]) -> io::Result<()> {
        self.memory.read_exact_at(into, address)
    }

    /// Reads an eight-byte word of its memory.
    ///
    /// # Errors
    /// If a byte is not mapped.
    pub fn word(&self, address: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Writes its memory, also where it may not write itself: this is how unverified code gets
    /// there, and there is no other way.
    ///
    /// # Errors
    /// If a byte is not mapped, or the kernel forbids tracers to write code.
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> io::Result<()> {
        self.memory.write_all_at(bytes, address)
    }
}

impl Drop for Tracee {
    fn drop(&mut self) {
        let living = std::mem::replace(&mut lock(&self.deadline).living, false);
        if living {
            let _ = kill(self.pid, Signal::SIGKILL);
            // Ends: nothing survives that signal.
            while let Ok(WaitStatus::Stopped(..)) = waitpid(self.pid, Some(WaitPidFlag::__WALL)) {}
        }
    }
}

fn lock(deadline: &Mutex<Deadline>) -> std::sync::MutexGuard<'_, Deadline> {
    deadline.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills the process when its deadline passes. Ends with the process.
fn watch(pid: Pid, deadline: Arc<Mutex<Deadline>>) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(TICK);
            let mut deadline = lock(&deadline);
            if !deadline.living {
                return;
            }
            if deadline.at.is_some_and(|at| Instant::now() >= at) {
                deadline.passed = true;
                let _ = kill(pid, Signal::SIGKILL);
            }
        }
    });
}
