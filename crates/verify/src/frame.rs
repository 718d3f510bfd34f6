//! Kinds of frame slots: persistent trees, so that the states at block heads share what is equal.
//!
//! Requires slots below [`Frames::SLOTS_MAX`]. Guarantees that a state costs what it changed, not
//! what the frame holds: a kind is set in the logarithm of the frame's size, and a join looks at
//! what differs. Nodes are never freed before the function is done; how many there may be is
//! bounded by the caller. Deliberately knows nothing of depths.

use crate::domain::Kind;
use cellwall_base::limits;

/// A kind in a frame slot, by its number in the function.
type SlotKind = u8;

/// Slots of a leaf: as many as fill a cache line.
const LEAF: usize = 64;
/// Children of a node: likewise.
const FAN: usize = 16;
/// Results of joins that are remembered.
const MEMO: usize = 512;
/// Leaves and nodes for which there is room are kept for the next function up to so many.
const SPARE_MAX: usize = 1 << 14;
/// Bytes of a leaf or a node.
pub(crate) const NODE_BYTES: usize = 64;

/// The kinds of all slots of a frame: the root of its tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Frame(u32);

impl Frame {
    /// No slot was written.
    pub(crate) const UNDEFINED: Self = Self(0);
}

/// The trees of one function. Leaf 0 and node 0 stand for undefined slots at every level.
#[derive(Default)]
pub(crate) struct Frames {
    kinds: Vec<Kind>,
    leaves: Vec<[SlotKind; LEAF]>,
    nodes: Vec<[u32; FAN]>,
    /// How many levels of nodes are above the leaves.
    levels: u32,
    /// What is below is shared; what is not belongs to the one frame being changed.
    shared_leaves: u32,
    shared_nodes: u32,
    /// Direct-mapped: two nodes and their join. Paths that differ in much and meet often meet in
    /// the same nodes.
    memo: Vec<(u32, u32, u32)>,
}

/// The number of "undefined".
const UNDEFINED: SlotKind = 0;

impl Frames {
    /// More slots than a frame has.
    pub(crate) const SLOTS_MAX: usize = limits::FRAME_BYTES_MAX as usize / 8;

    /// No trees, for frames of up to this many slots, in the memory of others.
    pub(crate) fn emptied(mut self, slots: usize) -> Self {
        self.kinds.clear();
        self.kinds
            .extend([Kind::Undefined, Kind::Any, crate::domain::U32, Kind::Low32]);
        self.leaves.clear();
        self.leaves.shrink_to(SPARE_MAX);
        self.leaves.push([UNDEFINED; LEAF]);
        self.nodes.clear();
        self.nodes.shrink_to(SPARE_MAX);
        self.nodes.push([0; FAN]);
        self.memo.clear();
        self.levels = 0;
        while LEAF << (4 * self.levels) < slots.min(Self::SLOTS_MAX) {
            self.levels += 1;
        }
        self.share();
        self
    }

    /// Leaves and nodes made so far.
    pub(crate) fn size(&self) -> usize {
        self.leaves.len() + self.nodes.len()
    }

    /// The kind of a slot.
    #[inline]
    pub(crate) fn get(&self, frame: Frame, slot: usize) -> Kind {
        self.kinds[usize::from(self.number_at(frame, slot))]
    }

    #[inline]
    fn number_at(&self, frame: Frame, slot: usize) -> SlotKind {
        let mut id = frame.0;
        for level in (1..=self.levels).rev() {
            id = self.nodes[id as usize][child(slot, level)];
        }
        self.leaves[id as usize][slot % LEAF]
    }

    /// Sets the kind of a slot, or a weaker one if the function has too many kinds.
    #[inline]
    pub(crate) fn set(&mut self, frame: &mut Frame, slot: usize, kind: Kind) {
        let number = self.number(kind);
        if self.number_at(*frame, slot) != number {
            frame.0 = self.set_below(frame.0, self.levels, slot, number);
        }
    }

    fn set_below(&mut self, id: u32, level: u32, slot: usize, number: SlotKind) -> u32 {
        if level == 0 {
            let id = self.own_leaf(id);
            self.leaves[id as usize][slot % LEAF] = number;
            return id;
        }
        let at = child(slot, level);
        let old = self.nodes[id as usize][at];
        let new = self.set_below(old, level - 1, slot, number);
        self.with_child(id, at, new)
    }

    /// Forgets the slots from this one on.
    pub(crate) fn truncate(&mut self, frame: &mut Frame, slots: usize) {
        frame.0 = self.truncate_below(frame.0, self.levels, slots);
    }

    fn truncate_below(&mut self, id: u32, level: u32, slots: usize) -> u32 {
        if id == 0 || slots >= LEAF << (4 * level) {
            return id;
        }
        if slots == 0 {
            return 0;
        }
        if level == 0 {
            let id = self.own_leaf(id);
            self.leaves[id as usize][slots..].fill(UNDEFINED);
            return id;
        }
        let at = child(slots, level);
        let old = self.nodes[id as usize][at];
        let new = self.truncate_below(old, level - 1, slots % (LEAF << (4 * (level - 1))));
        let id = self.own_node(id);
        self.nodes[id as usize][at] = new;
        self.nodes[id as usize][at + 1..].fill(0);
        id
    }

    /// Everything made so far belongs to more than one frame from now on.
    pub(crate) fn share(&mut self) {
        self.shared_leaves = self.leaves.len() as u32;
        self.shared_nodes = self.nodes.len() as u32;
    }

    /// The join of two shared frames; the first if it is equal to that. Counts what it looks at.
    pub(crate) fn join(&mut self, mine: Frame, theirs: Frame, work: &mut u64) -> Frame {
        if self.levels > 0 && self.memo.is_empty() {
            self.memo.resize(MEMO, (0, 0, 0));
        }
        Frame(self.join_below(mine.0, theirs.0, self.levels, work))
    }

    fn join_below(&mut self, mine: u32, theirs: u32, level: u32, work: &mut u64) -> u32 {
        // What one has not written, the join has not.
        if mine == theirs || mine == 0 {
            return mine;
        }
        if theirs == 0 {
            return 0;
        }
        *work += 1;
        if level == 0 {
            return self.join_leaves(mine, theirs);
        }
        let entry = (mine.wrapping_mul(0x9e37_79b9) ^ theirs.wrapping_mul(0x85eb_ca6b)) as usize >> 8;
        let entry = entry % MEMO;
        let (a, b, known) = self.memo[entry];
        if (a, b) == (mine, theirs) {
            return known;
        }
        let (left, right) = (self.nodes[mine as usize], self.nodes[theirs as usize]);
        let mut joined = left;
        for (child, other) in joined.iter_mut().zip(right) {
            *child = self.join_below(*child, other, level - 1, work);
        }
        let id = match () {
            () if joined == left => mine,
            () if joined == right => theirs,
            () if joined == [0; FAN] => 0,
            () => {
                self.nodes.push(joined);
                self.nodes.len() as u32 - 1
            }
        };
        self.memo[entry] = (mine, theirs, id);
        id
    }

    fn join_leaves(&mut self, mine: u32, theirs: u32) -> u32 {
        let (left, right) = (self.leaves[mine as usize], self.leaves[theirs as usize]);
        if left == right {
            return mine;
        }
        let mut joined = left;
        for (mine, theirs) in joined.iter_mut().zip(right) {
            if *mine != theirs {
                let kind = self.kinds[usize::from(*mine)].join(self.kinds[usize::from(theirs)]);
                *mine = self.number(kind);
            }
        }
        match () {
            () if joined == left => mine,
            () if joined == right => theirs,
            () if joined == [UNDEFINED; LEAF] => 0,
            () => {
                self.leaves.push(joined);
                self.leaves.len() as u32 - 1
            }
        }
    }

    /// The frame with nothing known of its data but that it is data.
    pub(crate) fn widen(&mut self, frame: Frame, work: &mut u64) -> Frame {
        Frame(self.widen_below(frame.0, self.levels, work))
    }

    fn widen_below(&mut self, id: u32, level: u32, work: &mut u64) -> u32 {
        if id == 0 {
            return 0;
        }
        *work += 1;
        if level > 0 {
            let old = self.nodes[id as usize];
            let new = old.map(|child| self.widen_below(child, level - 1, work));
            if new == old {
                return id;
            }
            self.nodes.push(new);
            return self.nodes.len() as u32 - 1;
        }
        let old = self.leaves[id as usize];
        let any = self.number(Kind::Any);
        let new = old.map(|kind| {
            if self.kinds[usize::from(kind)].is_data() {
                any
            } else {
                kind
            }
        });
        if new == old {
            return id;
        }
        self.leaves.push(new);
        self.leaves.len() as u32 - 1
    }

    fn with_child(&mut self, id: u32, at: usize, new: u32) -> u32 {
        if self.nodes[id as usize][at] == new {
            return id;
        }
        let id = self.own_node(id);
        self.nodes[id as usize][at] = new;
        id
    }

    fn own_leaf(&mut self, id: u32) -> u32 {
        if id >= self.shared_leaves {
            return id;
        }
        self.leaves.push(self.leaves[id as usize]);
        self.leaves.len() as u32 - 1
    }

    fn own_node(&mut self, id: u32) -> u32 {
        if id >= self.shared_nodes {
            return id;
        }
        self.nodes.push(self.nodes[id as usize]);
        self.nodes.len() as u32 - 1
    }

    /// The number of a kind: a new one if there is room, otherwise that of a weaker kind.
    #[inline]
    fn number(&mut self, kind: Kind) -> SlotKind {
        if let Some(at) = self.kinds.iter().position(|&known| known == kind) {
            return at as SlotKind;
        }
        if self.kinds.len() <= usize::from(SlotKind::MAX) {
            self.kinds.push(kind);
            return (self.kinds.len() - 1) as SlotKind;
        }
        match kind {
            _ if !kind.is_data() => UNDEFINED,
            _ if kind.max().is_some() => 2,
            _ => 1,
        }
    }
}

/// Which child of a node at this level leads to a slot.
fn child(slot: usize, level: u32) -> usize {
    slot / (LEAF << (4 * (level - 1))) % FAN
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::U32;

    /// A frame as a plain list, which the trees must agree with.
    fn model(frames: &Frames, frame: Frame, slots: usize) -> Vec<Kind> {
        (0..slots).map(|slot| frames.get(frame, slot)).collect()
    }

    #[test]
    fn trees_agree_with_lists() {
        for slots in [1, 64, 65, 1000, 1025, 20_000, Frames::SLOTS_MAX] {
            let mut frames = Frames::default().emptied(slots);
            let (mut random, mut work) = (1u64, 0);
            let mut next = move |n: usize| {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1);
                (random >> 33) as usize % n
            };
            let kinds = [Kind::Undefined, Kind::Any, U32, Kind::Low32, Kind::Block];
            let mut states = vec![(Frame::UNDEFINED, vec![Kind::Undefined; slots])];
            for _ in 0..200 {
                let (mut frame, mut list) = states[next(states.len())].clone();
                match next(4) {
                    0 => {
                        let (other, other_list) = &states[next(states.len())];
                        frame = frames.join(frame, *other, &mut work);
                        for (mine, theirs) in list.iter_mut().zip(other_list) {
                            *mine = mine.join(*theirs);
                        }
                    }
                    1 => {
                        let keep = next(slots + 1);
                        frames.truncate(&mut frame, keep);
                        list[keep..].fill(Kind::Undefined);
                    }
                    _ => {
                        for _ in 0..10 {
                            let (slot, kind) = (next(slots), kinds[next(kinds.len())]);
                            frames.set(&mut frame, slot, kind);
                            list[slot] = kind;
                        }
                    }
                }
                frames.share();
                if slots < 2000 || next(10) == 0 {
                    assert!(model(&frames, frame, slots) == list, "{slots} slots");
                }
                states.push((frame, list));
            }
            for (frame, list) in states {
                assert!(slots > 2000 || model(&frames, frame, slots) == list);
            }
        }
    }

    #[test]
    fn states_that_share_their_slots_cost_little() {
        let slots = Frames::SLOTS_MAX;
        let mut frames = Frames::default().emptied(slots);
        let mut frame = Frame::UNDEFINED;
        for slot in 0..slots {
            frames.set(&mut frame, slot, Kind::Any);
        }
        frames.share();
        let (full, mut work) = (frames.size(), 0);
        for slot in 0..1000 {
            let mut other = frame;
            frames.set(&mut other, slot * 100, U32);
            frames.share();
            let joined = frames.join(other, frame, &mut work);
            assert_eq!(joined, frame, "the weaker one, not a copy of it");
        }
        assert!(frames.size() - full <= 1000 * 7 && work <= 1000 * 7);
    }

    #[test]
    fn numbers_of_kinds_run_out_gracefully() {
        let mut frames = Frames::default().emptied(1);
        let mut frame = Frame::UNDEFINED;
        for i in 0..300 {
            frames.set(&mut frame, 0, Kind::GlobalPointer(i));
            let kind = frames.get(frame, 0);
            assert!(kind == Kind::GlobalPointer(i) || i >= 252 && kind == Kind::Undefined);
        }
        let index = Kind::MemoryIndex {
            memory: 0,
            fits_32: true,
        };
        frames.set(&mut frame, 0, index);
        assert_eq!(frames.get(frame, 0), U32);
    }
}
