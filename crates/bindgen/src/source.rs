//! Rust source text under construction: lines in, indented text out.

/// Text that indents itself: a line that ends with an opening bracket is followed by deeper ones.
#[derive(Default)]
pub(crate) struct Source {
    text: String,
    depth: usize,
}

impl Source {
    /// Adds lines.
    pub(crate) fn add(&mut self, lines: &str) {
        if lines.is_empty() {
            self.text.push('\n');
        }
        for line in lines.lines() {
            let line = line.trim();
            if line.is_empty() {
                self.text.push('\n');
                continue;
            }
            if line.starts_with(['}', ')', ']']) {
                self.depth = self.depth.saturating_sub(1);
            }
            self.text.extend(std::iter::repeat_n("    ", self.depth));
            self.text.push_str(line);
            self.text.push('\n');
            if line.ends_with(['{', '(', '[']) && !line.starts_with("//") {
                self.depth += 1;
            }
        }
    }

    /// Adds a line of a clause, which lies deeper.
    pub(crate) fn clause(&mut self, line: &str) {
        self.depth += 1;
        self.add(line);
        self.depth -= 1;
    }

    /// Adds documentation.
    pub(crate) fn docs(&mut self, docs: Option<&str>) {
        for line in docs.unwrap_or_default().trim_end().lines() {
            self.add(format!("/// {}", line.trim_end()).trim_end());
        }
    }

    /// Adds text that is indented already.
    pub(crate) fn append(&mut self, other: Self) {
        for line in other.text.lines() {
            if !line.is_empty() {
                self.text.extend(std::iter::repeat_n("    ", self.depth));
                self.text.push_str(line);
            }
            self.text.push('\n');
        }
    }

    /// The text.
    pub(crate) fn finish(self) -> String {
        self.text
    }
}
