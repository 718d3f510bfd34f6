//! Handle tables: numbers of a component instance for things that it does not see.
//!
//! Each instance has one, from 1 on; the number that was freed last is given out first (canonical
//! ABI, "Table State"). What a handle may be used for is decided here: types are compared, what is
//! lent is neither dropped nor given away. `R` is what the host calls a resource type.

use crate::fault::Fault;
use crate::limits::HANDLES_MAX;
use std::sync::Arc;

/// What a number stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Handle<R> {
    /// A resource that the instance owns, and how many calls it is lent to.
    Own {
        /// Its type.
        resource: R,
        /// Its representation.
        rep: u32,
        /// Calls that it is lent to now.
        lent: u32,
    },
    /// A resource that was lent to a call of the instance.
    Borrow {
        /// Its type.
        resource: R,
        /// Its representation.
        rep: u32,
        /// The call.
        call: u32,
    },
    /// An error context with its message.
    ErrorContext(Arc<str>),
}

#[derive(Clone, Debug)]
enum Slot<R> {
    Used(Handle<R>),
    /// The next free slot; 0 if there is none.
    Free(u32),
}

/// The handles of a component instance.
#[derive(Clone, Debug)]
pub struct Handles<R> {
    slots: Vec<Slot<R>>,
    free: u32,
}

impl<R> Default for Handles<R> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: 0,
        }
    }
}

impl<R: Copy + Eq> Handles<R> {
    /// Whether the next handle needs no new entry.
    pub fn has_free(&self) -> bool {
        self.free != 0
    }

    /// Entries that it has room for, used or free; they stay.
    pub fn room(&self) -> usize {
        self.slots.len()
    }

    /// Gives a number to something.
    ///
    /// # Errors
    /// If there are too many.
    pub fn add(&mut self, handle: Handle<R>) -> Result<u32, Fault> {
        if self.free != 0 {
            let index = self.free;
            let slot = &mut self.slots[index as usize - 1];
            let Slot::Free(next) = *slot else {
                unreachable!("only free slots are in the list");
            };
            self.free = next;
            *slot = Slot::Used(handle);
            return Ok(index);
        }
        let index = self.slots.len() as u32 + 1;
        if index > HANDLES_MAX {
            return Err(Fault::TooManyHandles);
        }
        self.slots.push(Slot::Used(handle));
        Ok(index)
    }

    /// What a number stands for.
    ///
    /// # Errors
    /// If it stands for nothing.
    pub fn get(&self, index: u32) -> Result<&Handle<R>, Fault> {
        match (index as usize)
            .checked_sub(1)
            .and_then(|index| self.slots.get(index))
        {
            Some(Slot::Used(handle)) => Ok(handle),
            _ => Err(Fault::UnknownHandle),
        }
    }

    fn get_mut(&mut self, index: u32) -> Result<&mut Handle<R>, Fault> {
        let index = (index as usize).checked_sub(1);
        match index.and_then(|index| self.slots.get_mut(index)) {
            Some(Slot::Used(handle)) => Ok(handle),
            _ => Err(Fault::UnknownHandle),
        }
    }

    fn free(&mut self, index: u32) {
        self.slots[index as usize - 1] = Slot::Free(self.free);
        self.free = index;
    }

    /// The representation of a handle of this type, owned or borrowed.
    ///
    /// # Errors
    /// If it is no such handle.
    pub fn rep(&self, index: u32, of: R) -> Result<u32, Fault> {
        match self.get(index)? {
            Handle::Own { resource, rep, .. } | Handle::Borrow { resource, rep, .. } if *resource == of => {
                Ok(*rep)
            }
            Handle::ErrorContext(_) => Err(Fault::UnknownHandle),
            _ => Err(Fault::WrongHandle),
        }
    }

    /// Takes an owned handle out, to give the resource away.
    ///
    /// # Errors
    /// If it is no owned handle of this type, or is lent.
    pub fn take_own(&mut self, index: u32, of: R) -> Result<u32, Fault> {
        self.rep(index, of)?;
        match *self.get(index)? {
            Handle::Own { lent: 1.., .. } => Err(Fault::HandleLent),
            Handle::Own { rep, .. } => {
                self.free(index);
                Ok(rep)
            }
            _ => Err(Fault::BorrowedNotOwned),
        }
    }

    /// Lends a handle to a call; the answer is its representation, and whether the loan must be
    /// [given back](Self::give_back).
    ///
    /// # Errors
    /// If it is no handle of this type.
    pub fn lend(&mut self, index: u32, of: R) -> Result<(u32, bool), Fault> {
        self.rep(index, of)?;
        match self.get_mut(index)? {
            Handle::Own { rep, lent, .. } => {
                *lent += 1;
                Ok((*rep, true))
            }
            Handle::Borrow { rep, .. } => Ok((*rep, false)),
            Handle::ErrorContext(_) => Err(Fault::UnknownHandle),
        }
    }

    /// Ends a loan.
    ///
    /// # Panics
    /// If there is none.
    pub fn give_back(&mut self, index: u32) {
        match self.get_mut(index) {
            Ok(Handle::Own { lent, .. }) if *lent > 0 => *lent -= 1,
            _ => panic!("what is lent stays where it is"),
        }
    }

    /// Drops a handle of this type.
    ///
    /// # Errors
    /// If it is no handle of this type, or is lent.
    pub fn drop_resource(&mut self, index: u32, of: R) -> Result<Handle<R>, Fault> {
        self.rep(index, of)?;
        let handle = self.get(index)?.clone();
        if matches!(handle, Handle::Own { lent: 1.., .. }) {
            return Err(Fault::HandleLent);
        }
        self.free(index);
        Ok(handle)
    }

    /// The message of an error context.
    ///
    /// # Errors
    /// If it is none.
    pub fn error_context(&self, index: u32) -> Result<Arc<str>, Fault> {
        match self.get(index) {
            Ok(Handle::ErrorContext(message)) => Ok(message.clone()),
            _ => Err(Fault::UnknownErrorContext),
        }
    }

    /// Drops an error context.
    ///
    /// # Errors
    /// If it is none.
    pub fn drop_error_context(&mut self, index: u32) -> Result<(), Fault> {
        self.error_context(index)?;
        self.free(index);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(rep: u32) -> Handle<u8> {
        Handle::Own {
            resource: 0,
            rep,
            lent: 0,
        }
    }

    #[test]
    fn numbers_start_at_one_and_the_last_freed_comes_first() {
        let mut table = Handles::default();
        assert_eq!(
            [table.add(own(7)), table.add(own(8)), table.add(own(9))],
            [Ok(1), Ok(2), Ok(3)]
        );
        assert_eq!((table.take_own(1, 0), table.take_own(2, 0)), (Ok(7), Ok(8)));
        assert_eq!(
            [table.add(own(1)), table.add(own(1)), table.add(own(1))],
            [Ok(2), Ok(1), Ok(4)]
        );
    }

    #[test]
    fn what_is_not_there_or_of_another_type_is_refused() {
        let mut table = Handles::default();
        assert_eq!(table.rep(0, 0), Err(Fault::UnknownHandle));
        assert_eq!(table.rep(1, 0), Err(Fault::UnknownHandle));
        let index = table.add(own(7)).expect("there is room");
        assert_eq!(table.rep(index, 0), Ok(7));
        assert_eq!(table.rep(index, 1), Err(Fault::WrongHandle));
        assert_eq!(table.take_own(index, 1), Err(Fault::WrongHandle));
        assert_eq!(table.error_context(index), Err(Fault::UnknownErrorContext));
    }

    #[test]
    fn what_is_lent_stays() {
        let mut table = Handles::default();
        let index = table.add(own(7)).expect("there is room");
        assert_eq!(table.lend(index, 0), Ok((7, true)));
        assert_eq!(table.take_own(index, 0), Err(Fault::HandleLent));
        assert_eq!(table.drop_resource(index, 0), Err(Fault::HandleLent));
        table.give_back(index);
        assert_eq!(table.take_own(index, 0), Ok(7));
        let borrow = Handle::Borrow {
            resource: 0,
            rep: 3,
            call: 0,
        };
        let index = table.add(borrow).expect("there is room");
        assert_eq!(table.take_own(index, 0), Err(Fault::BorrowedNotOwned));
        assert_eq!(table.lend(index, 0), Ok((3, false)));
        assert!(table.drop_resource(index, 0).is_ok());
    }
}
