//! A hash table from what instructions compute to the values that hold it.
//!
//! It may forget: a key is looked for in a few places only, and a new one takes the place of an old
//! one if they are full. So every operation takes bounded time whatever the input, which could be
//! made to collide.

use cellwall_ir::{Block, Value};

/// Places where a key may be.
const PROBES_MAX: usize = 8;
/// Places of the largest table; larger functions forget more.
const SLOTS_MAX: usize = 1 << 17;

/// What identifies a computation.
pub(super) type Key = (u64, u64);

#[derive(Clone, Copy)]
struct Slot {
    key: Key,
    value: Value,
    /// Where the value is known.
    block: Block,
}

/// No computation has this key.
const EMPTY: Slot = Slot {
    key: (0, 0),
    value: Value::from_u32(0),
    block: Block::from_u32(0),
};

/// The table.
pub(super) struct Table {
    slots: Vec<Slot>,
}

impl Table {
    /// A table for about `count` computations.
    pub(super) fn new(count: usize) -> Self {
        let slots = count.next_power_of_two().clamp(2 * PROBES_MAX, SLOTS_MAX);
        Self {
            slots: vec![EMPTY; slots],
        }
    }

    fn places(&self, key: Key) -> impl Iterator<Item = usize> + use<> {
        let mask = self.slots.len() - 1;
        // Multiplications by odd constants spread; folding brings the high bits down.
        let mixed = (key.0 ^ key.1.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 32) ^ key.1).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let start = (mixed >> 32) as usize;
        (0..PROBES_MAX).map(move |i| (start + i) & mask)
    }

    /// The value of a key, and the block where it is known.
    pub(super) fn get(&self, key: Key) -> Option<(Value, Block)> {
        for place in self.places(key) {
            let slot = &self.slots[place];
            if slot.key == key {
                return Some((slot.value, slot.block));
            }
            if slot.key == EMPTY.key {
                return None;
            }
        }
        None
    }

    /// Sets the value of a key.
    pub(super) fn set(&mut self, key: Key, value: Value, block: Block) {
        debug_assert_ne!(key, EMPTY.key);
        let mut places = self.places(key);
        let first = places.next().expect("there are places");
        let found = std::iter::once(first)
            .chain(places)
            .find(|&place| self.slots[place].key == key || self.slots[place].key == EMPTY.key);
        self.slots[found.unwrap_or(first)] = Slot { key, value, block };
    }
}
