//! The places of a script by line and column.
//!
//! Requires one walk through the text. Guarantees that each place is found in a time that hardly depends
//! on where it is, so that a script costs time in proportion to its length.

use wast::token::Span;

use crate::legacy::Flat;

/// Where the lines of a script begin, and what of it was parsed.
pub(super) struct Places<'a> {
    flat: &'a Flat<'a>,
    /// In ascending order; the first is 0.
    starts: Vec<usize>,
}

impl<'a> Places<'a> {
    /// The places of `text` by those in its flat form.
    pub(super) fn of(text: &str, flat: &'a Flat<'a>) -> Places<'a> {
        let behind = text.match_indices('\n').map(|(at, _)| at + 1);
        let starts = std::iter::once(0).chain(behind).collect();
        Places { flat, starts }
    }

    /// Line and column in bytes, both from 1.
    pub(super) fn of_span(&self, span: Span) -> (usize, usize) {
        let offset = self.flat.origin(span.offset());
        let line = self.starts.partition_point(|&start| start <= offset);
        (line, offset - self.starts[line - 1] + 1)
    }
}
