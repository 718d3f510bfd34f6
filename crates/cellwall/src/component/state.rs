//! What a store keeps of components: handle tables, calls that handles are lent to, and whether a
//! component may be entered.

use super::func::Lifted;
use super::lift::Abi;
use super::{ResourceType, Val};
use crate::{Func, Global, Module};
use cellwall_component::limits::{MESSAGES_BYTES_MAX, STORE_HANDLES_MAX};
use cellwall_component::{Fault, FuncType, Handle, Handles};
use cellwall_runtime::StoreId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything of components in a store.
#[derive(Default)]
pub(crate) struct State {
    /// Component instances of all roots.
    pub(crate) instances: Vec<InstanceState>,
    /// Components that the host instantiated.
    pub(crate) roots: Vec<RootState>,
    /// Calls under way that handles may be lent to, the innermost last.
    calls: Vec<CallScope>,
    /// Calls under way that end by `task.return`, the innermost last.
    pub(crate) tasks: Vec<Task>,
    /// Owned handles that are lent to them: instance (`None`: the host) and number.
    lenders: Vec<(Option<usize>, u32)>,
    /// Handles of the host that end with them.
    of_host: Vec<u32>,
    /// Resources that guests gave to the host; the host's own handle table.
    pub(crate) host: Handles<ResourceType>,
    /// Entries of all handle tables.
    entries: usize,
    /// Bytes of the messages of error contexts, each as often as there are handles of it.
    message_bytes: usize,
    /// Numbers of guests' resource types.
    guest_types: u32,
}

/// Words of a task.
pub(crate) const CONTEXT_SLOTS: usize = 2;

/// A component instance.
pub(crate) struct InstanceState {
    pub(crate) handles: Handles<ResourceType>,
    /// Whether it may call out: 1 or 0.
    pub(crate) may_leave: Global,
    /// The words of its task.
    pub(crate) context: [u32; CONTEXT_SLOTS],
    /// How often it has said that asynchronous calls must wait.
    pub(crate) backpressure: u16,
}

/// A component that the host instantiated.
pub(crate) struct RootState {
    /// A call of it is under way, or one has trapped: it cannot be entered.
    pub(crate) entered: bool,
    /// Number of its first component instance in the store.
    pub(crate) first: usize,
    /// How values cross for the functions that it has in common with others; those that are there by now.
    pub(crate) abis: Vec<Option<Abi>>,
    /// Its resources, by their numbers in the plan; those that are there by now.
    pub(crate) resources: Vec<Option<ResourceEntry>>,
    /// The functions that it exports, by their numbers in the plan.
    pub(crate) lifted: BTreeMap<u32, Arc<Lifted>>,
    /// The core modules that it imports, by their numbers in the plan.
    pub(crate) modules: BTreeMap<u32, Module>,
}

/// A resource type in a root.
#[derive(Clone, Copy)]
pub(crate) struct ResourceEntry {
    pub(crate) ty: ResourceType,
    /// What is called with the representation when the last handle is dropped.
    pub(crate) dtor: Option<Dtor>,
    /// The component instance that defines it.
    pub(crate) owner: Option<usize>,
}

/// A destructor.
#[derive(Clone, Copy)]
pub(crate) struct Dtor {
    pub(crate) func: Func,
    /// Whether it may have to wait: if it is a guest's, or a future of the host.
    pub(crate) may_wait: bool,
}

/// A call that ends by `task.return`.
pub(crate) struct Task {
    /// The component instance that is called.
    pub(crate) instance: usize,
    pub(crate) ty: Arc<FuncType>,
    /// What it has returned, if it has.
    pub(crate) returned: Option<Option<Val>>,
}

/// A call that handles may be lent to. What belongs to it lies in the lists of the store, from where they
/// ended when it began, so that calls allocate nothing.
struct CallScope {
    /// How many lenders there were.
    lenders: usize,
    /// How many handles of the host there were that end with a call.
    of_host: usize,
    /// Borrowed handles that it still has.
    borrows: u32,
}

impl State {
    pub(crate) fn new_guest_type(&mut self, store: StoreId) -> ResourceType {
        self.guest_types += 1;
        ResourceType::guest(store, self.guest_types)
    }

    pub(crate) fn handles(&mut self, instance: Option<usize>) -> &mut Handles<ResourceType> {
        match instance {
            Some(instance) => &mut self.instances[instance].handles,
            None => &mut self.host,
        }
    }

    /// The resource type of this number in a root.
    pub(crate) fn resource(&self, root: usize, id: cellwall_component::ResourceId) -> ResourceEntry {
        let entry = self.roots[root].resources[id.0 as usize];
        entry.expect("the plan makes resources before they are used")
    }

    pub(crate) fn enter_call(&mut self) {
        self.calls.push(CallScope {
            lenders: self.lenders.len(),
            of_host: self.of_host.len(),
            borrows: 0,
        });
    }

    /// Ends a call: what was lent to it must be given back.
    pub(crate) fn exit_call(&mut self) -> Result<(), Fault> {
        // An adapter from a file may end what it has not begun.
        let scope = self.calls.pop().ok_or(Fault::BorrowsRemain)?;
        for at in scope.lenders..self.lenders.len() {
            let (instance, index) = self.lenders[at];
            self.handles(instance).give_back(index);
        }
        self.lenders.truncate(scope.lenders);
        while self.of_host.len() > scope.of_host
            && let Some(index) = self.of_host.pop()
        {
            // The host may have dropped it already.
            if let Ok(Handle::Borrow { resource, .. }) = self.host.get(index) {
                let resource = *resource;
                self.host.drop_resource(index, resource)?;
            }
        }
        if scope.borrows > 0 {
            return Err(Fault::BorrowsRemain);
        }
        Ok(())
    }

    /// How many calls are under way.
    pub(crate) fn call_depth(&self) -> usize {
        self.calls.len()
    }

    /// Ends the calls that a trap has ended: what was lent to them comes back, also to the host.
    pub(crate) fn unwind_calls(&mut self, depth: usize) {
        while self.calls.len() > depth {
            // What they still have is nobody's business: they cannot be entered again.
            let _ = self.exit_call();
        }
    }

    /// Gives a number to something, while there is room in the store.
    ///
    /// # Errors
    /// If there are too many.
    pub(crate) fn add(&mut self, to: Option<usize>, handle: Handle<ResourceType>) -> Result<u32, Fault> {
        let bytes = match &handle {
            Handle::ErrorContext(message) => message.len(),
            Handle::Own { .. } | Handle::Borrow { .. } => 0,
        };
        let is_full = self.entries >= STORE_HANDLES_MAX;
        if bytes > MESSAGES_BYTES_MAX - self.message_bytes || is_full && !self.handles(to).has_free() {
            return Err(Fault::TooManyHandles);
        }
        let table = self.handles(to);
        let before = table.room();
        let index = table.add(handle)?;
        let more = table.room() - before;
        self.entries += more;
        self.message_bytes += bytes;
        Ok(index)
    }

    /// Drops an error context.
    ///
    /// # Errors
    /// If it is none.
    pub(crate) fn drop_error_context(&mut self, instance: usize, index: u32) -> Result<(), Fault> {
        let table = self.handles(Some(instance));
        let bytes = table.error_context(index)?.len();
        table.drop_error_context(index)?;
        self.message_bytes -= bytes;
        Ok(())
    }

    /// Moves an owned handle from one table to another.
    pub(crate) fn transfer_own(
        &mut self,
        from: Option<usize>,
        to: Option<usize>,
        index: u32,
        ty: ResourceType,
    ) -> Result<u32, Fault> {
        let rep = self.handles(from).take_own(index, ty)?;
        self.add_own(to, rep, ty)
    }

    pub(crate) fn add_own(&mut self, to: Option<usize>, rep: u32, ty: ResourceType) -> Result<u32, Fault> {
        let lent = 0;
        let resource = ty;
        self.add(to, Handle::Own { resource, rep, lent })
    }

    /// Lends a handle to the innermost call, and returns its representation.
    pub(crate) fn lend(&mut self, from: Option<usize>, index: u32, ty: ResourceType) -> Result<u32, Fault> {
        // Only an adapter from a file lends outside of a call.
        if self.calls.is_empty() {
            return Err(Fault::UnknownHandle);
        }
        let (rep, owned) = self.handles(from).lend(index, ty)?;
        if owned {
            self.lenders.push((from, index));
        }
        Ok(rep)
    }

    /// What an instance sees of a resource that is lent to it: its own one as it is, others by a
    /// handle.
    pub(crate) fn add_borrow(&mut self, to: usize, rep: u32, entry: ResourceEntry) -> Result<u32, Fault> {
        if entry.owner == Some(to) {
            return Ok(rep);
        }
        let call = (self.calls.len() as u32).checked_sub(1);
        let call = call.ok_or(Fault::UnknownHandle)?;
        self.calls[call as usize].borrows += 1;
        let resource = entry.ty;
        self.add(Some(to), Handle::Borrow { resource, rep, call })
    }

    /// What the host sees of a resource that is lent to the innermost call, until that ends.
    pub(crate) fn add_host_borrow(&mut self, rep: u32, ty: ResourceType) -> Result<u32, Fault> {
        let call = self.calls.len() as u32;
        let resource = ty;
        let index = self.add(None, Handle::Borrow { resource, rep, call })?;
        if !self.calls.is_empty() {
            self.of_host.push(index);
        }
        Ok(index)
    }

    /// Lends a handle from instance to instance.
    pub(crate) fn transfer_borrow(
        &mut self,
        from: usize,
        to: usize,
        index: u32,
        entry: ResourceEntry,
    ) -> Result<u32, Fault> {
        let rep = self.lend(Some(from), index, entry.ty)?;
        self.add_borrow(to, rep, entry)
    }

    /// Drops a handle; returns the representation if it was the last one of a resource.
    pub(crate) fn drop_handle(
        &mut self,
        instance: Option<usize>,
        index: u32,
        ty: ResourceType,
    ) -> Result<Option<u32>, Fault> {
        match self.handles(instance).drop_resource(index, ty)? {
            Handle::Own { rep, .. } => Ok(Some(rep)),
            Handle::Borrow { call, .. } => {
                if let Some(scope) = self.calls.get_mut(call as usize) {
                    scope.borrows = scope.borrows.saturating_sub(1);
                }
                Ok(None)
            }
            Handle::ErrorContext(_) => Err(Fault::UnknownHandle),
        }
    }
}
