//! The places of a text by line and column.
//!
//! Requires one walk through the text. Guarantees that each place is found in a time that does not
//! depend on where it is, so that a script costs time in proportion to its length.

use wast::token::Span;

/// Where the lines of a text begin.
pub(super) struct Lines {
    /// In ascending order; the first is 0.
    starts: Vec<usize>,
}

impl Lines {
    pub(super) fn of(text: &str) -> Lines {
        let behind = text.match_indices('\n').map(|(at, _)| at + 1);
        Lines {
            starts: std::iter::once(0).chain(behind).collect(),
        }
    }

    /// Line and column in bytes of a place in the text, both from 1.
    pub(super) fn place(&self, span: Span) -> (usize, usize) {
        let offset = span.offset();
        let line = self.starts.partition_point(|&start| start <= offset);
        (line, offset - self.starts[line - 1] + 1)
    }
}
