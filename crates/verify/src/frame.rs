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

/// Leaves or nodes, by their numbers. The first stands for undefined slots.
#[derive(Default)]
struct Pool<T, const N: usize> {
    all: Vec<[T; N]>,
    /// What is below is shared; what is not belongs to the one frame being changed.
    shared: usize,
}

impl<T: Copy + Default + PartialEq, const N: usize> Pool<T, N> {
    fn clear(&mut self) {
        self.all.clear();
        self.all.shrink_to(SPARE_MAX);
        self.add([T::default(); N]);
    }

    fn add(&mut self, new: [T; N]) -> u32 {
        self.all.push(new);
        self.all.len() as u32 - 1
    }

    /// The number of a copy that may be changed.
    fn own(&mut self, id: u32) -> u32 {
        match (id as usize) < self.shared {
            true => self.add(self.all[id as usize]),
            false => id,
        }
    }

    /// With another entry there.
    fn set(&mut self, id: u32, at: usize, new: T) -> u32 {
        if self.all[id as usize][at] == new {
            return id;
        }
        let id = self.own(id);
        self.all[id as usize][at] = new;
        id
    }

    /// With nothing from there on.
    fn cut(&mut self, id: u32, from: usize) -> u32 {
        let id = self.own(id);
        self.all[id as usize][from..].fill(T::default());
        id
    }

    /// One of these two, or nothing, if it is that; otherwise a new one.
    fn with(&mut self, new: [T; N], mine: u32, theirs: u32) -> u32 {
        let known = [mine, theirs, 0];
        let known = known.into_iter().find(|&id| self.all[id as usize] == new);
        known.unwrap_or_else(|| self.add(new))
    }
}

/// The trees of one function.
#[derive(Default)]
pub(crate) struct Frames {
    kinds: Vec<Kind>,
    leaves: Pool<SlotKind, LEAF>,
    nodes: Pool<u32, FAN>,
    /// How many levels of nodes are above the leaves.
    levels: u32,
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
        self.nodes.clear();
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
        self.leaves.all.len() + self.nodes.all.len()
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
            id = self.nodes.all[id as usize][child(slot, level)];
        }
        self.leaves.all[id as usize][slot % LEAF]
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
            return self.leaves.set(id, slot % LEAF, number);
        }
        let at = child(slot, level);
        let new = self.set_below(self.nodes.all[id as usize][at], level - 1, slot, number);
        self.nodes.set(id, at, new)
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
            return self.leaves.cut(id, slots);
        }
        let at = child(slots, level);
        let old = self.nodes.all[id as usize][at];
        let new = self.truncate_below(old, level - 1, slots % (LEAF << (4 * (level - 1))));
        let id = self.nodes.cut(id, at);
        self.nodes.set(id, at, new)
    }

    /// Everything made so far belongs to more than one frame from now on.
    pub(crate) fn share(&mut self) {
        self.leaves.shared = self.leaves.all.len();
        self.nodes.shared = self.nodes.all.len();
    }

    /// The join of two shared frames; the first if it is equal to that. Counts what it looks at.
    pub(crate) fn join(&mut self, mine: Frame, theirs: Frame, work: &mut u64) -> Frame {
        let is_plain = mine == theirs || mine == Frame::UNDEFINED || theirs == Frame::UNDEFINED;
        if self.levels > 0 && self.memo.is_empty() && !is_plain {
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
        let (mut joined, right) = (self.nodes.all[mine as usize], self.nodes.all[theirs as usize]);
        for (child, other) in joined.iter_mut().zip(right) {
            *child = self.join_below(*child, other, level - 1, work);
        }
        let id = self.nodes.with(joined, mine, theirs);
        self.memo[entry] = (mine, theirs, id);
        id
    }

    fn join_leaves(&mut self, mine: u32, theirs: u32) -> u32 {
        let (mut joined, right) = (self.leaves.all[mine as usize], self.leaves.all[theirs as usize]);
        for (mine, theirs) in joined.iter_mut().zip(right) {
            if *mine != theirs {
                let kind = self.kinds[usize::from(*mine)].join(self.kinds[usize::from(theirs)]);
                *mine = self.number(kind);
            }
        }
        self.leaves.with(joined, mine, theirs)
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
            let old = self.nodes.all[id as usize];
            let new = old.map(|child| self.widen_below(child, level - 1, work));
            return self.nodes.with(new, id, id);
        }
        let any = self.number(Kind::Any);
        let is_data = |kind: SlotKind| self.kinds[usize::from(kind)].is_data();
        let new = self.leaves.all[id as usize].map(|kind| if is_data(kind) { any } else { kind });
        self.leaves.with(new, id, id)
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
