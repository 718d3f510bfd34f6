//! The folded form of `try`, which the parser of scripts no longer reads, as the flat form, which it
//! does: `(try (do A) (catch $e B))` becomes `try A catch $e B end`.
//!
//! Requires nothing of the text. Guarantees that text without a folded `try`, or that is no sequence of
//! balanced parentheses, comes back as it was, and that every directive stays on its line. Only
//! functions with a folded `try` change; they are made flat as a whole, since the flat form cannot stand
//! inside of a folded one.

use std::borrow::Cow;

/// Parentheses around one another; the parser behind this takes fewer.
const DEPTH_MAX: usize = 2000;

/// A word, or a list with its source.
enum Node<'a> {
    Word(&'a str),
    List(Vec<Node<'a>>, &'a str),
}

impl<'a> Node<'a> {
    /// The first word of a list.
    fn head(&self) -> &'a str {
        match self {
            Node::List(nodes, _) => match nodes.first() {
                Some(Node::Word(word)) => word,
                _ => "",
            },
            Node::Word(_) => "",
        }
    }

    fn items(&self) -> &[Node<'a>] {
        match self {
            Node::List(nodes, _) => nodes.get(1..).unwrap_or_default(),
            Node::Word(_) => &[],
        }
    }

    fn source(&self) -> &'a str {
        match self {
            Node::Word(source) | Node::List(_, source) => source,
        }
    }

    fn has_folded_try(&self) -> bool {
        let here = self.head() == "try" && self.items().iter().any(|item| item.head() == "do");
        here || self.items().iter().any(Node::has_folded_try)
    }
}

/// The text without folded `try`.
pub(super) fn unfolded(text: &str) -> Cow<'_, str> {
    if !text.contains("(do") {
        return Cow::Borrowed(text);
    }
    let Some(nodes) = parse(text) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for node in &nodes {
        rewrite(text, node, &mut done, &mut out);
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

/// Copies what comes before the functions to be changed inside of a node, and those changed.
fn rewrite(text: &str, node: &Node<'_>, done: &mut usize, out: &mut String) {
    if node.head() != "func" {
        node.items()
            .iter()
            .for_each(|item| rewrite(text, item, done, out));
    } else if node.has_folded_try() {
        let source = node.source();
        let start = source.as_ptr() as usize - text.as_ptr() as usize;
        out.push_str(&text[*done..start]);
        *done = start + source.len();
        out.push_str("(func ");
        let fields = ["export", "import", "type", "param", "result", "local"];
        for item in node.items() {
            match item {
                Node::Word(word) => push(word, out),
                Node::List(_, source) if fields.contains(&item.head()) => push(source, out),
                Node::List(..) => flatten(item, out),
            }
        }
        out.push(')');
        out.extend(std::iter::repeat_n('\n', source.matches('\n').count()));
    }
}

fn push(word: &str, out: &mut String) {
    // A comment in it would swallow what follows on its line.
    if word.contains(";;") && !word.starts_with('"') {
        out.extend(
            word.lines()
                .map(|line| format!("{} ", line.split(";;").next().unwrap_or(""))),
        );
    } else {
        out.extend(word.split('\n'));
    }
    out.push(' ');
}

/// Appends the label and the types that begin a block; what comes behind them.
fn header<'n, 'a>(node: &'n Node<'a>, out: &mut String) -> &'n [Node<'a>] {
    const TYPES: [&str; 7] = [
        "type",
        "param",
        "result",
        "catch",
        "catch_ref",
        "catch_all",
        "catch_all_ref",
    ];
    // Of the older form, `catch` is an arm.
    let types = if node.head() == "try_table" {
        &TYPES[..]
    } else {
        &TYPES[..3]
    };
    let items = node.items();
    let is_header = |item: &Node<'_>| match item {
        Node::Word(word) => word.starts_with('$'),
        Node::List(..) => types.contains(&item.head()),
    };
    let len = items.iter().take_while(|item| is_header(item)).count();
    items[..len].iter().for_each(|item| push(item.source(), out));
    &items[len..]
}

fn flatten_all(nodes: &[Node<'_>], out: &mut String) {
    nodes.iter().for_each(|node| flatten(node, out));
}

fn flatten(node: &Node<'_>, out: &mut String) {
    let head = match node {
        Node::Word(word) => return push(word, out),
        Node::List(..) => node.head(),
    };
    match head {
        "block" | "loop" | "try_table" => {
            push(head, out);
            flatten_all(header(node, out), out);
            push("end", out);
        }
        "if" => {
            let mut start = String::from("if ");
            let rest = header(node, &mut start);
            let (arms, condition): (Vec<_>, Vec<_>) = rest
                .iter()
                .partition(|item| ["then", "else"].contains(&item.head()));
            condition.into_iter().for_each(|item| flatten(item, out));
            out.push_str(&start);
            for arm in arms {
                if arm.head() == "else" {
                    push("else", out);
                }
                flatten_all(arm.items(), out);
            }
            push("end", out);
        }
        "try" => {
            push("try", out);
            let arms = header(node, out);
            for arm in arms {
                if arm.head() != "do" {
                    push(arm.head(), out);
                }
                flatten_all(arm.items(), out);
            }
            if !arms.iter().any(|arm| arm.head() == "delegate") {
                push("end", out);
            }
        }
        _ => {
            let is_operand = |item: &&Node<'_>| {
                matches!(item, Node::List(..)) && !["type", "param", "result", "ref"].contains(&item.head())
            };
            node.items()
                .iter()
                .filter(is_operand)
                .for_each(|item| flatten(item, out));
            push(head, out);
            let immediates = node.items().iter().filter(|item| !is_operand(item));
            immediates.for_each(|item| push(item.source(), out));
        }
    }
}

/// The text as words and lists; `None` if it is not balanced.
fn parse(text: &str) -> Option<Vec<Node<'_>>> {
    let bytes = text.as_bytes();
    let mut open: Vec<(usize, Vec<Node<'_>>)> = Vec::new();
    let mut nodes = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b'(' if bytes.get(at) == Some(&b';') => at = block_comment(bytes, at + 1)?,
            b'(' => {
                open.push((start, std::mem::take(&mut nodes)));
                if open.len() > DEPTH_MAX {
                    return None;
                }
            }
            b')' => {
                let (from, around) = open.pop()?;
                let list = Node::List(std::mem::replace(&mut nodes, around), &text[from..at]);
                nodes.push(list);
            }
            b';' if bytes.get(at) == Some(&b';') => {
                at += bytes[at..].iter().take_while(|&&byte| byte != b'\n').count();
            }
            b'"' => {
                while *bytes.get(at)? != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
                nodes.push(Node::Word(text.get(start..at)?));
            }
            byte if byte.is_ascii_whitespace() => {}
            _ => {
                let ends = |&&byte: &&u8| !byte.is_ascii_whitespace() && !b"()\";".contains(&byte);
                at += bytes[at..].iter().take_while(ends).count();
                nodes.push(Node::Word(text.get(start..at)?));
            }
        }
    }
    open.is_empty().then_some(nodes)
}

/// The place behind a block comment, which may hold others.
fn block_comment(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 1;
    while depth > 0 {
        let pair = bytes.get(at..at + 2)?;
        match pair {
            b"(;" => (depth, at) = (depth + 1, at + 2),
            b";)" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::unfolded;

    fn words(text: &str) -> Vec<String> {
        unfolded(text).split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_folded_try_becomes_flat_and_keeps_its_lines() {
        let text = "(module (func $f (result i32)\n (i32.add (i32.const 1)\n (try $l (result i32) (do (call $g)) ;; why\n (catch $e (nop)) (catch_all (rethrow 0))))))\n(assert_return)";
        assert_eq!(
            words(text).join(" "),
            "(module (func $f (result i32) i32.const 1 try $l (result i32) call $g catch $e nop catch_all \
             rethrow 0 end i32.add ) ) (assert_return)"
        );
        assert_eq!(unfolded(text).matches('\n').count(), text.matches('\n').count());
    }

    #[test]
    fn an_if_around_and_a_delegate_inside_become_flat() {
        let text = "(func (if (local.get 0) (then (try (do (throw 0)) (delegate 0))) (else (nop))))";
        assert_eq!(
            words(text).join(" "),
            "(func local.get 0 if try throw 0 delegate 0 else nop end )"
        );
    }

    #[test]
    fn other_text_stays() {
        for text in ["(func (nop)) ;; (do", "(func (try (do (nop)", "(do \"(try\")"] {
            assert_eq!(unfolded(text), text);
        }
    }
}
