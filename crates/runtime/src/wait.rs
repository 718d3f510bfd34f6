//! Calls that wait for host functions that are futures ([`future`](crate::future)).
//!
//! Nothing native is ever suspended. A host function's future is polled on the thread's own stack, like
//! any host function. If it is pending, the stub leaves to the entry as for a trap, but the guest's frames
//! stay on their cell stack and its registers in the activation: the guest is *parked*. The call, itself a
//! future, returns pending. Its next polls poll the host function's future, and when that is ready, the
//! guest goes on with the results ([`sys::unpark`]), on whatever thread that is: between two polls, a
//! thread has nothing of the call.
//!
//! Requires that the store stays borrowed by the call. Guarantees that the future of a host function is
//! polled, finished and dropped with its guest's call on top of store and thread, as if it were a
//! host function that has not returned yet: what it calls itself runs below the parked frames. A call that
//! is dropped drops that future first, then the frames, which nobody comes back to.

use crate::activation::{Activation, Status};
use crate::call::{Ended, NESTED_STACK_BYTES_MIN};
use crate::code::Code;
use crate::context::is_poisoned;
use crate::error::{Error, HostError};
use crate::exception::CAUGHT;
use crate::func::{CallTarget, TypedFunc};
use crate::host::{Caller, HostEntry, Outcome, leave};
use crate::id::{Extern, FuncId, InstanceId, assert_store};
use crate::stack::{CellStack, StackRange};
use crate::store::{StoreInner, StoreOpaque};
use crate::sys::{self, WAITS_STATUS, Width};
use crate::thread::{self, Thread};
use crate::value::{RawList, RawVal};
use std::any::Any;
use std::ffi::c_void;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// What a host function that may wait is under way as.
pub type HostFuture<'a, O> = Pin<Box<dyn Future<Output = O> + Send + 'a>>;

/// A host function that has begun.
pub enum Begun<'a, O> {
    /// It has ended already.
    Done(O),
    /// It may have to wait.
    Waits(HostFuture<'a, O>),
    /// It ends as a call of this function without results does, which may have to wait.
    Calls {
        /// The function.
        func: FuncId,
        /// Its arguments.
        params: Box<[RawVal]>,
        /// What the end of the call is to the host function.
        then: fn(Result<(), Error>) -> O,
    },
}

impl<O> std::fmt::Debug for Begun<'_, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Done(_) => "Done",
            Self::Waits(_) => "Waits",
            Self::Calls { .. } => "Calls",
        })
    }
}

/// A host function that has to wait, for the call whose guest is parked in it.
pub(crate) trait Unended: Send {
    /// Polls it; once it is ready, its results are in the block of the store.
    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Result<(), HostError>>;
}

/// The future of a host function, and what is to be done with its output.
struct Waiting<T: 'static, O, F> {
    context: usize,
    /// `None` once it has ended. It borrows the store, whatever its type says.
    future: Option<HostFuture<'static, O>>,
    finish: Option<F>,
    data: PhantomData<fn() -> T>,
}

impl<T, O, F> Unended for Waiting<T, O, F>
where
    T: 'static,
    F: FnOnce(Caller<'_, T>, O) -> Result<(), HostError> + Send,
{
    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Result<(), HostError>> {
        let Some(future) = &mut self.future else {
            unreachable!("the call takes what is ready");
        };
        let Poll::Ready(output) = future.as_mut().poll(task) else {
            return Poll::Pending;
        };
        self.future = None;
        let finish = self.finish.take().expect("goes with the future");
        // SAFETY: the call that keeps this borrows the store, and the future that did is gone.
        Poll::Ready(unsafe { finish_in(self.context, finish, output) })
    }
}

/// # Safety
/// As for [`StoreInner::of_context`].
unsafe fn finish_in<T: 'static, O>(
    context: usize,
    finish: impl FnOnce(Caller<'_, T>, O) -> Result<(), HostError>,
    output: O,
) -> Result<(), HostError> {
    // SAFETY: the caller's promise.
    let store = unsafe { StoreInner::<T>::of_context(context) };
    // SAFETY: as above.
    let instance = unsafe { store.instance_of(context) };
    finish(Caller { store, instance }, output)
}

/// Begins a host function and polls it for the first time; what its entry answers.
///
/// # Safety
/// `context` is what the stub, or the call from the host, passed, and its store has data of type `T`.
pub(crate) unsafe fn run<T, O, F>(
    context: usize,
    begin: impl FnOnce(Caller<'static, T>) -> Result<Begun<'static, O>, HostError>,
    finish: F,
) -> u32
where
    T: 'static,
    O: 'static,
    F: FnOnce(Caller<'_, T>, O) -> Result<(), HostError> + Send + 'static,
{
    // SAFETY: the caller's promise. What borrows the store for longer than this function runs is kept by
    // the call under way, which borrows it, and dropped before that ends.
    let store: &'static mut StoreInner<T> = unsafe { StoreInner::of_context(context) };
    // SAFETY: as above.
    let instance = unsafe { store.instance_of(context) };
    let task = store.task(instance);
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let begun = match begin(Caller { store, instance })? {
            // SAFETY: as above; what has begun has given the store back.
            Begun::Calls { func, params, then } => unsafe {
                begin_call(context, func, &params, then, !task.is_null())
            },
            begun => begun,
        };
        let output = match begun {
            Begun::Done(output) => output,
            Begun::Calls { .. } => unreachable!("replaced by its future"),
            Begun::Waits(mut future) => match poll_first(&mut future, task) {
                Poll::Ready(output) => output,
                Poll::Pending if task.is_null() => return Ok(Some(Err(Outcome::Waits))),
                Poll::Pending => {
                    let waiting: Box<dyn Unended> = Box::new(Waiting {
                        context,
                        future: Some(future),
                        finish: Some(finish),
                        data: PhantomData,
                    });
                    return Ok(Some(Ok(waiting)));
                }
            },
        };
        // SAFETY: what borrowed the store is gone.
        unsafe { finish_in(context, finish, output) }.map(|()| None)
    }));
    // SAFETY: nothing uses the store now but what waits.
    let store = unsafe { StoreOpaque::of_context(context) };
    match ran {
        Ok(Ok(None)) => 0,
        Ok(Ok(Some(Ok(waiting)))) => {
            store.fields.unended = Some(waiting);
            WAITS_STATUS
        }
        Ok(Ok(Some(Err(outcome)))) => store.leave_by(outcome, context),
        Ok(Err(error)) => leave(store, context, Ok(error)),
        Err(panic) => leave(store, context, Err(panic)),
    }
}

/// The call of a function, as a host function that may wait.
///
/// # Safety
/// As for [`run`].
unsafe fn begin_call<O: 'static>(
    context: usize,
    func: FuncId,
    params: &[RawVal],
    then: fn(Result<(), Error>) -> O,
    may_wait: bool,
) -> Begun<'static, O> {
    // SAFETY: the caller's promise.
    let store: &'static mut StoreOpaque = unsafe { StoreOpaque::of_context(context) };
    if !may_wait {
        return Begun::Done(then(store.call(func, params, &mut [])));
    }
    match store.begin_call(func, params, &mut []) {
        Err(error) => Begun::Done(then(Err(error))),
        Ok((target, width)) => {
            // If the data of the store may not move to another thread, then the call around this one does
            // not either.
            let call = Call::within(store, target, width);
            Begun::Waits(Box::pin(async move { then(call.await) }))
        }
    }
}

fn poll_first<O>(future: &mut HostFuture<'static, O>, task: *mut c_void) -> Poll<O> {
    if task.is_null() {
        return future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    // SAFETY: set by the poll of the call under way, which uses its own only when no guest runs.
    let task = unsafe { &mut *task.cast::<Context<'_>>() };
    future.as_mut().poll(task)
}

impl StoreOpaque {
    /// In what a host function that this instance calls (`None`: the host) may wait; null if it cannot.
    fn task(&self, instance: Option<InstanceId>) -> *mut c_void {
        match instance {
            None => self.fields.host_task.get(),
            Some(_) => {
                // SAFETY: a guest called, so that its activation is under way.
                let top = unsafe { &*self.fields.activation.get() };
                top.task.get()
            }
        }
    }
}

impl<T: Send + 'static> StoreInner<T> {
    /// Like [`call_typed`](StoreOpaque::call_typed), where host functions may wait.
    ///
    /// # Errors
    /// As [`call_typed`](StoreOpaque::call_typed); [`Error::Limit`] if too many such calls are under way.
    ///
    /// # Panics
    /// As [`call_typed`](StoreOpaque::call_typed).
    pub async fn call_typed_async<P: RawList, R: RawList>(
        &mut self,
        func: &TypedFunc<P, R>,
        params: P,
    ) -> Result<R, Error> {
        assert_store(self.id(), func.func().store());
        params.write_params(self.block_mut());
        let width = const { Width::of(P::TYPES, R::TYPES) };
        Call::new(self, func.target, width).await?;
        Ok(R::read_results(self.block()))
    }

    /// Like [`call`](StoreOpaque::call), where host functions may wait.
    ///
    /// # Errors
    /// As [`call`](StoreOpaque::call); [`Error::Limit`] if too many such calls are under way.
    ///
    /// # Panics
    /// As [`call`](StoreOpaque::call).
    pub async fn call_async(
        &mut self,
        func: FuncId,
        params: &[RawVal],
        results: &mut [RawVal],
    ) -> Result<(), Error> {
        let (target, width) = self.begin_call(func, params, results)?;
        Call::new(self, target, width).await?;
        self.read_results(results);
        Ok(())
    }

    /// Like [`instantiate_in`](StoreOpaque::instantiate_in), where the start function may wait.
    ///
    /// # Errors
    /// As [`instantiate`](StoreOpaque::instantiate); [`Error::Limit`] if too many such calls are under
    /// way.
    ///
    /// # Panics
    /// As [`instantiate`](StoreOpaque::instantiate).
    pub async fn instantiate_async(
        &mut self,
        component: Option<u32>,
        code: &Arc<Code>,
        imports: &[Extern],
    ) -> Result<InstanceId, Error> {
        let (id, start) = self.make_instance(component, code, imports)?;
        if let Some(start) = start {
            self.call_async(start, &[], &mut []).await?;
        }
        Ok(id)
    }
}

/// A call from host to guest, or to a host function, that may wait. Its arguments are in the block when
/// it is polled first, and its results when it is ready.
struct Call<'s> {
    store: NonNull<StoreOpaque>,
    borrow: PhantomData<&'s mut StoreOpaque>,
    target: CallTarget,
    width: Width,
    /// From a box, from the first poll until the call has ended; none for a host function.
    activation: Option<NonNull<Activation>>,
    /// The stack, if the call is an outermost one; others go on below the parked frames around them.
    stack: Option<Box<CellStack>>,
    /// What the guest is parked in.
    unended: Option<Box<dyn Unended>>,
}

// SAFETY: it is made for a store whose data may move to another thread, or inside of another call of the
// same store, in what that one keeps. Between two polls nothing of the thread is in the activation that
// the next one does not replace; what waits is Send.
unsafe impl Send for Call<'_> {}

/// What a poll of a call came to.
enum Step {
    Pending,
    Left(Status),
}

impl<'s> Call<'s> {
    fn new<T: Send + 'static>(store: &'s mut StoreInner<T>, target: CallTarget, width: Width) -> Self {
        Self::within(store, target, width)
    }

    /// One that stays inside of another call of this store, if the data of the store is not Send.
    fn within(store: &'s mut StoreOpaque, target: CallTarget, width: Width) -> Self {
        Self {
            store: NonNull::from(store),
            borrow: PhantomData,
            target,
            width,
            activation: None,
            stack: None,
            unended: None,
        }
    }

    /// The store, which the call borrows; each use ends before the next.
    fn store(&self) -> &'s mut StoreOpaque {
        // SAFETY: borrowed for `'s`, and nobody uses it at the same time: what waits is not being polled,
        // or it calls here through the borrow that it was given.
        unsafe { &mut *self.store.as_ptr() }
    }

    /// Takes a stack and makes the activation.
    fn begin(&mut self, thread: &Thread, context: usize) -> Result<NonNull<Activation>, Error> {
        // SAFETY: the context of an instance of this store.
        if unsafe { is_poisoned(context) } {
            return Err(Error::Interrupted);
        }
        let store = self.store();
        let engine = &store.fields.engine.0;
        let below = store.fields.activation.get();
        // SAFETY: activations of a store are under way while they are in its chain.
        let range = match unsafe { below.as_ref() } {
            None => {
                engine.begin_async_call()?;
                let stack = thread
                    .take_stack(engine)
                    .inspect_err(|_| engine.end_async_call())?;
                self.stack.insert(stack).range()
            }
            Some(below) => {
                let high = below.guest_rsp.get() & !15;
                let range = StackRange { high, ..below.stack };
                if high < range.low + NESTED_STACK_BYTES_MIN {
                    return Err(store.stack_overflow());
                }
                range
            }
        };
        let address = store.expose();
        let engine = &store.fields.engine.0;
        let activation = Activation::new(thread, engine, address, range, below);
        if !below.is_null() {
            activation.births.set(store.fields.exceptions.births());
        }
        let activation = NonNull::from(Box::leak(Box::new(activation)));
        self.activation = Some(activation);
        Ok(activation)
    }

    /// Drops what the guest is parked in. That may call, too: below the frames that are still there.
    fn abandon(&mut self) -> std::thread::Result<()> {
        let Some(unended) = self.unended.take() else {
            return Ok(());
        };
        let thread = thread::current();
        match self.activation {
            Some(activation) if thread.is_prepared() => {
                self.on_top(thread, activation, move |_| drop(unended))
            }
            _ => catch_unwind(AssertUnwindSafe(|| drop(unended))),
        }
    }

    /// Gives back what the call has.
    fn end(&mut self) {
        if let Some(activation) = self.activation.take() {
            // SAFETY: from a box, and neither store nor thread know it.
            drop(unsafe { Box::from_raw(activation.as_ptr()) });
        }
        if let Some(stack) = self.stack.take() {
            let engine = self.store().fields.engine.clone();
            engine.0.end_async_call();
            let thread = thread::current();
            if thread.is_prepared() {
                thread.give_stack(&engine.0, stack);
                thread.make_ready(&engine.0);
            } else {
                engine.0.keep_stack(stack);
            }
        }
    }

    /// Runs `body` with the activation on top of store and thread; a panic goes on afterwards.
    fn on_top<R>(
        &mut self,
        thread: &Thread,
        activation: NonNull<Activation>,
        body: impl FnOnce(&mut Self) -> R,
    ) -> Result<R, Box<dyn Any + Send>> {
        let store = self.store();
        let engine = store.fields.engine.clone();
        let below = store.fields.activation.replace(activation.as_ptr());
        // SAFETY: owned by the call, until it has ended.
        let top = unsafe { activation.as_ref() };
        top.below_on_thread.set(thread.top.get());
        let done = thread.with_top(top, &engine.0, || {
            catch_unwind(AssertUnwindSafe(|| body(&mut *self)))
        });
        self.store().fields.activation.set(below);
        done
    }

    fn poll_guest(&mut self, task: &mut Context<'_>, code: usize, context: usize) -> Poll<Result<(), Error>> {
        let thread = thread::current();
        if !thread.has_room()? {
            return Poll::Ready(Err(self.store().stack_overflow()));
        }
        let begun = self.activation;
        let activation = match begun {
            Some(activation) => activation,
            None => self.begin(thread, context)?,
        };
        let task: *mut Context<'_> = task;
        // SAFETY: owned by the call, until it has ended.
        unsafe { activation.as_ref() }.task.set(task.cast());
        let step = self.on_top(thread, activation, |call| match begun {
            None => {
                // SAFETY: owned by the call, until it has ended.
                let high = unsafe { activation.as_ref() }.stack.high;
                // SAFETY: code and context belong to an instance of this store; activation and stack were
                // made for this call; the caller wrote the arguments.
                let status = unsafe { sys::enter(activation.as_ptr(), code, context, high, call.width) };
                Step::Left(Status::from_raw(status))
            }
            // SAFETY: the guest is parked, and `task` is that of this poll.
            Some(_) => unsafe { call.go_on(activation, task) },
        });
        // SAFETY: as above. What it points to ends with this poll.
        let activation = unsafe { activation.as_ref() };
        activation.task.set(std::ptr::null_mut());
        let ended = match step {
            Ok(Step::Pending) => return Poll::Pending,
            Ok(Step::Left(Status::Parked)) => {
                self.unended = self.store().fields.unended.take();
                debug_assert!(self.unended.is_some(), "a guest is parked in something");
                return Poll::Pending;
            }
            Ok(Step::Left(Status::Returned)) => {
                self.end();
                return Poll::Ready(Ok(()));
            }
            Ok(Step::Left(status)) => self.store().ended(status, activation),
            Err(panic) => Ended::Panic(panic),
        };
        // A panic goes on, whatever the future that panicked does when it is dropped.
        drop(self.abandon());
        self.end();
        match ended {
            Ended::Error(error) => Poll::Ready(Err(error)),
            Ended::Panic(panic) => resume_unwind(panic),
        }
    }

    /// Polls what the guest is parked in, and lets the guest go on if that has ended.
    ///
    /// # Safety
    /// The guest is parked, the activation is its, and on top; `task` is of the poll under way.
    unsafe fn go_on(&mut self, activation: NonNull<Activation>, task: *mut Context<'_>) -> Step {
        let unended = self.unended.as_mut().expect("a guest is parked in something");
        // SAFETY: the caller's promise, and no guest runs now.
        let Poll::Ready(done) = unended.poll(unsafe { &mut *task }) else {
            return Step::Pending;
        };
        self.unended = None;
        let answer = match done {
            Ok(()) => 0,
            Err(error) => {
                // SAFETY: owned by the call, until it has ended.
                let context = unsafe { activation.as_ref() }.guest_context.get();
                leave(self.store(), context, Ok(error))
            }
        };
        if !matches!(answer, 0 | CAUGHT) {
            return Step::Left(Status::Outcome);
        }
        self.store().expose();
        // SAFETY: the caller's promise; the frames are as they were, since what ran on this stack ran below
        // them. The results are in the block, or the activation says where the exception was caught.
        Step::Left(Status::from_raw(unsafe {
            sys::unpark(activation.as_ptr(), answer)
        }))
    }

    fn poll_host(&mut self, task: &mut Context<'_>, entry: HostEntry, env: usize) -> Poll<Result<(), Error>> {
        let store = self.store();
        store.expose();
        let task: *mut Context<'_> = task;
        let before = store.fields.host_task.replace(task.cast());
        let context = store.fields.host_context.address();
        let done = catch_unwind(AssertUnwindSafe(|| match &mut self.unended {
            // SAFETY: entry and environment belong together, in a record of this store; the context is the
            // store's own.
            None => Ok(unsafe { entry(env, context) }),
            // SAFETY: of this poll, and no guest runs now.
            Some(unended) => match unended.poll(unsafe { &mut *task }) {
                Poll::Pending => Ok(WAITS_STATUS),
                Poll::Ready(done) => done.map(|()| 0),
            },
        }));
        let store = self.store();
        store.fields.host_task.set(before);
        let done = match done {
            Ok(Ok(WAITS_STATUS)) => {
                if let Some(unended) = store.fields.unended.take() {
                    self.unended = Some(unended);
                }
                return Poll::Pending;
            }
            Ok(Ok(0)) => Ok(Ok(())),
            Ok(Ok(_)) => Ok(Err(store.left_host())),
            Ok(Err(error)) => Ok(Err(Error::host(error))),
            Err(panic) => Err(panic),
        };
        self.unended = None;
        match done {
            Ok(done) => Poll::Ready(done),
            Err(panic) => resume_unwind(panic),
        }
    }
}

impl Future for Call<'_> {
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let call = self.get_mut();
        match call.target {
            CallTarget::Wasm { code, context } => call.poll_guest(task, code, context),
            CallTarget::Host { entry, env } => call.poll_host(task, entry, env),
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let dropped = self.abandon();
        self.end();
        if let Err(panic) = dropped
            && !std::thread::panicking()
        {
            resume_unwind(panic);
        }
    }
}
