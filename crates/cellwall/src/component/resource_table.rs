//! What the numbers of host resources stand for.
//!
//! Guarantees: a number means one value until it is deleted, and never more than the table's
//! maximum are there at once; a value that others are children of is not deleted before them.
//! Does not do: know guests. What a guest holds are handles; the numbers here are what those
//! stand for ([`Resource::rep`]).

use super::Resource;
use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;

/// How many resources a table may hold unless the host says otherwise.
const RESOURCES_MAX: usize = 1_000_000;

/// Why a [`ResourceTable`] did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceTableError {
    /// It holds as many resources as it may.
    Full,
    /// There is nothing under this number.
    NotPresent,
    /// Something of another type is there.
    WrongType,
    /// Others are children of it, and have to go first.
    HasChildren,
}

impl fmt::Display for ResourceTableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ResourceTableError::Full => "resource table has no free keys",
            ResourceTableError::NotPresent => "resource not present",
            ResourceTableError::WrongType => "resource is of another type",
            ResourceTableError::HasChildren => "resource has children",
        })
    }
}

impl std::error::Error for ResourceTableError {}

struct Entry {
    value: Box<dyn Any + Send>,
    parent: Option<u32>,
    children: BTreeSet<u32>,
}

/// The values behind the resources that a host gave to guests, by number.
///
/// ```
/// use cellwall::component::{ResourceTable, ResourceTableError};
///
/// let mut table = ResourceTable::new();
/// let file = table.push(String::from("file"))?;
/// let stream = table.push_child(7u64, &file)?;
/// assert_eq!(table.get(&file)?, "file");
/// assert_eq!(table.delete(file).unwrap_err(), ResourceTableError::HasChildren);
/// assert_eq!(table.delete(stream)?, 7);
/// # Ok::<(), ResourceTableError>(())
/// ```
pub struct ResourceTable {
    entries: Vec<Option<Entry>>,
    /// Indices of `entries` that are `None`.
    free: Vec<u32>,
    max: usize,
}

impl Default for ResourceTable {
    fn default() -> ResourceTable {
        ResourceTable::new()
    }
}

impl fmt::Debug for ResourceTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceTable")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl ResourceTable {
    /// An empty table, which takes at most a million resources.
    pub fn new() -> ResourceTable {
        ResourceTable {
            entries: Vec::new(),
            free: Vec::new(),
            max: RESOURCES_MAX,
        }
    }

    /// The most resources that may be there at once; what is there already stays.
    pub fn set_max_capacity(&mut self, max: usize) {
        self.max = max;
    }

    /// The most resources that may be there at once.
    pub fn max_capacity(&self) -> usize {
        self.max
    }

    /// How many resources are there.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts a value in; the resource is owned.
    ///
    /// # Errors
    /// [`Full`](ResourceTableError::Full).
    pub fn push<T: Send + 'static>(&mut self, value: T) -> Result<Resource<T>, ResourceTableError> {
        self.insert(Box::new(value), None).map(Resource::new_own)
    }

    /// Puts a value in that needs `parent`, which then cannot be deleted before it.
    ///
    /// # Errors
    /// [`Full`](ResourceTableError::Full); as [`get`](Self::get) for `parent`.
    pub fn push_child<T: Send + 'static, U: 'static>(
        &mut self,
        value: T,
        parent: &Resource<U>,
    ) -> Result<Resource<T>, ResourceTableError> {
        self.entry(parent.rep())?;
        let rep = self.insert(Box::new(value), Some(parent.rep()))?;
        self.entry_mut(parent.rep())?.children.insert(rep);
        Ok(Resource::new_own(rep))
    }

    /// The value of a resource.
    ///
    /// # Errors
    /// [`NotPresent`](ResourceTableError::NotPresent), [`WrongType`](ResourceTableError::WrongType).
    pub fn get<T: 'static>(&self, resource: &Resource<T>) -> Result<&T, ResourceTableError> {
        let value = &self.entry(resource.rep())?.value;
        value.downcast_ref().ok_or(ResourceTableError::WrongType)
    }

    /// The value of a resource, to be changed.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_mut<T: 'static>(&mut self, resource: &Resource<T>) -> Result<&mut T, ResourceTableError> {
        self.get_any_mut(resource.rep())?
            .downcast_mut()
            .ok_or(ResourceTableError::WrongType)
    }

    /// The value with this number, whatever its type.
    ///
    /// # Errors
    /// [`NotPresent`](ResourceTableError::NotPresent).
    pub fn get_any_mut(&mut self, rep: u32) -> Result<&mut (dyn Any + Send), ResourceTableError> {
        Ok(&mut *self.entry_mut(rep)?.value)
    }

    /// The values with these numbers, whatever their types, all at once.
    ///
    /// # Errors
    /// [`NotPresent`](ResourceTableError::NotPresent).
    ///
    /// # Panics
    /// If the numbers do not ascend.
    pub fn get_many_any_mut(
        &mut self,
        reps: &[u32],
    ) -> Result<Vec<&mut (dyn Any + Send)>, ResourceTableError> {
        let mut rest = &mut self.entries[..];
        let mut passed = 0;
        let mut found = Vec::with_capacity(reps.len());
        for &rep in reps {
            let at = (rep as usize).checked_sub(passed).expect("numbers ascend");
            let (entry, behind) = std::mem::take(&mut rest)
                .get_mut(at..)
                .and_then(<[_]>::split_first_mut)
                .ok_or(ResourceTableError::NotPresent)?;
            let entry: &mut Entry = entry.as_mut().ok_or(ResourceTableError::NotPresent)?;
            found.push(&mut *entry.value);
            rest = behind;
            passed = rep as usize + 1;
        }
        Ok(found)
    }

    /// Takes a value out; its number may mean another one from now on.
    ///
    /// # Errors
    /// As [`get`](Self::get); [`HasChildren`](ResourceTableError::HasChildren).
    pub fn delete<T: 'static>(&mut self, resource: Resource<T>) -> Result<T, ResourceTableError> {
        self.get(&resource)?;
        let value = self.delete_any(resource.rep())?;
        Ok(*value.downcast().expect("its type was just compared"))
    }

    /// Takes out the value with this number, whatever its type.
    ///
    /// # Errors
    /// [`NotPresent`](ResourceTableError::NotPresent), [`HasChildren`](ResourceTableError::HasChildren).
    pub fn delete_any(&mut self, rep: u32) -> Result<Box<dyn Any + Send>, ResourceTableError> {
        if !self.entry(rep)?.children.is_empty() {
            return Err(ResourceTableError::HasChildren);
        }
        let entry = self.entries[rep as usize].take().expect("it was just looked at");
        self.free.push(rep);
        if let Some(parent) = entry.parent {
            self.entry_mut(parent)
                .expect("a parent outlives its children")
                .children
                .remove(&rep);
        }
        Ok(entry.value)
    }

    /// The values that were put in with `parent`, in the order of their numbers.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn iter_children<T: 'static>(
        &self,
        parent: &Resource<T>,
    ) -> Result<impl Iterator<Item = &(dyn Any + Send)>, ResourceTableError> {
        let children = &self.entry(parent.rep())?.children;
        Ok(children.iter().map(|rep| {
            let child = self
                .entry(*rep)
                .expect("a child is taken off its parent when it goes");
            &*child.value
        }))
    }

    fn insert(&mut self, value: Box<dyn Any + Send>, parent: Option<u32>) -> Result<u32, ResourceTableError> {
        if self.len() >= self.max {
            return Err(ResourceTableError::Full);
        }
        let entry = Entry {
            value,
            parent,
            children: BTreeSet::new(),
        };
        if let Some(rep) = self.free.pop() {
            self.entries[rep as usize] = Some(entry);
            return Ok(rep);
        }
        let rep = u32::try_from(self.entries.len()).map_err(|_| ResourceTableError::Full)?;
        self.entries.push(Some(entry));
        Ok(rep)
    }

    fn entry(&self, rep: u32) -> Result<&Entry, ResourceTableError> {
        let entry = self.entries.get(rep as usize).and_then(Option::as_ref);
        entry.ok_or(ResourceTableError::NotPresent)
    }

    fn entry_mut(&mut self, rep: u32) -> Result<&mut Entry, ResourceTableError> {
        let entry = self.entries.get_mut(rep as usize).and_then(Option::as_mut);
        entry.ok_or(ResourceTableError::NotPresent)
    }
}
