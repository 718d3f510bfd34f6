//! The folded form of `try`, which the parser of the text format no longer reads, as the flat form, which
//! it does: `(try (do A) (catch $e B))` becomes `try A catch $e B end`.
//!
//! Requires nothing of the text. Guarantees that text without a folded `try`, or that is no sequence of
//! balanced parentheses, comes back as it was, that every directive stays on its line, and that each
//! place of the flat text has one in the text that it is of. Only functions with a folded `try` change;
//! they are made flat as a whole, since the flat form cannot stand inside of a folded one. What is
//! misshapen in them stays folded, so that the parser refuses it.

use std::borrow::Cow;
use std::path::Path;

use wast::Wat;
use wast::lexer::Lexer;
use wast::parser::ParseBuffer;
use wast::token::Span;

/// Parentheses around one another; the parser behind this takes fewer.
const DEPTH_MAX: usize = 2000;

/// A text without folded `try`.
#[derive(Debug)]
pub struct Flat<'a> {
    text: Cow<'a, str>,
    /// In the order of the text; empty if it is as it was.
    pieces: Vec<Piece>,
}

/// A part of the flat text, and where it comes from.
#[derive(Debug)]
struct Piece {
    flat: usize,
    source: usize,
    source_len: usize,
}

impl<'a> Flat<'a> {
    /// The flat form of `text`.
    pub fn of(text: &'a str) -> Flat<'a> {
        let unchanged = Flat {
            text: Cow::Borrowed(text),
            pieces: Vec::new(),
        };
        if !text.contains("(do") {
            return unchanged;
        }
        let Some(nodes) = parse(text) else {
            return unchanged;
        };
        let mut out = Out {
            source: text,
            flat: String::with_capacity(text.len()),
            pieces: Vec::new(),
        };
        let mut done = 0;
        nodes.iter().for_each(|node| rewrite(node, &mut done, &mut out));
        if done == 0 {
            return unchanged;
        }
        out.copy(&text[done..]);
        Flat {
            text: Cow::Owned(out.flat),
            pieces: out.pieces,
        }
    }

    /// The flat text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The place in the text that this is of for a place in the flat text.
    pub fn origin(&self, offset: usize) -> usize {
        let behind = self.pieces.partition_point(|piece| piece.flat <= offset);
        match behind.checked_sub(1).map(|at| &self.pieces[at]) {
            Some(piece) => piece.source + (offset - piece.flat).min(piece.source_len),
            None => offset,
        }
    }
}

/// The binary format of text with a folded `try`, or what is wrong and where in that text; `None` if it
/// has none, or if no token can be made of something in it.
pub fn binary(text: &str, path: &Path) -> Option<Result<Vec<u8>, wast::Error>> {
    let flat = Flat::of(text);
    // The flat form has no comments, in which there may be what the lexer refuses.
    if flat.pieces.is_empty() || Lexer::new(text).iter(0).any(|token| token.is_err()) {
        return None;
    }
    Some(encode(flat.text()).map_err(|error| {
        let span = Span::from_offset(flat.origin(error.span().offset()));
        let mut error = wast::Error::new(span, error.message());
        error.set_path(path);
        error.set_text(text);
        error
    }))
}

fn encode(text: &str) -> Result<Vec<u8>, wast::Error> {
    let buffer = ParseBuffer::new(text)?;
    wast::parser::parse::<Wat<'_>>(&buffer)?.encode()
}

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

    /// Its last character: of a list, what closes it.
    fn close(&self) -> &'a str {
        let source = self.source();
        &source[source.len() - 1..]
    }

    fn has_folded_try(&self) -> bool {
        let here = self.head() == "try" && self.items().iter().any(|item| item.head() == "do");
        here || self.items().iter().any(Node::has_folded_try)
    }
}

/// The flat text as it is written.
struct Out<'a> {
    source: &'a str,
    flat: String,
    pieces: Vec<Piece>,
}

impl<'a> Out<'a> {
    /// Appends a part of the source.
    fn copy(&mut self, part: &'a str) {
        self.put(part, part);
    }

    /// Appends a word that stands for a part of the source, or is it.
    fn put(&mut self, word: &str, part: &'a str) {
        self.pieces.push(Piece {
            flat: self.flat.len(),
            source: part.as_ptr() as usize - self.source.as_ptr() as usize,
            source_len: part.len(),
        });
        self.flat.push_str(word);
    }

    fn word(&mut self, word: &str, part: &'a str) {
        self.put(word, part);
        self.flat.push(' ');
    }

    /// Appends a node as it is, without its comments.
    fn node(&mut self, node: &Node<'a>) {
        match node {
            Node::Word(word) => self.word(word, word),
            Node::List(nodes, source) => {
                self.copy(&source[..1]);
                nodes.iter().for_each(|node| self.node(node));
                self.word(")", node.close());
            }
        }
    }

    fn nodes(&mut self, nodes: &[Node<'a>]) {
        nodes.iter().for_each(|node| self.node(node));
    }
}

/// Copies what comes before the functions to be changed inside of a node, and those changed.
fn rewrite<'a>(node: &Node<'a>, done: &mut usize, out: &mut Out<'a>) {
    if node.head() != "func" {
        node.items().iter().for_each(|item| rewrite(item, done, out));
    } else if node.has_folded_try() {
        let (text, source) = (out.source, node.source());
        let start = source.as_ptr() as usize - text.as_ptr() as usize;
        out.copy(&text[*done..start]);
        *done = start + source.len();
        out.word("(func", &source[..1]);
        let fields = ["export", "import", "type", "param", "result", "local"];
        for item in node.items() {
            match fields.contains(&item.head()) {
                true => out.node(item),
                false => flatten(item, out),
            }
        }
        out.put(")", node.close());
        let newlines = source.matches('\n').count();
        out.flat.extend(std::iter::repeat_n('\n', newlines));
    }
}

/// The label and the types that begin a block, and what comes behind them.
fn split_header<'n, 'a>(node: &'n Node<'a>) -> (&'n [Node<'a>], &'n [Node<'a>]) {
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
    items.split_at(len)
}

/// What is computed before an `if`, and its arms; `None` if they are none.
fn split_if<'n, 'a>(rest: &'n [Node<'a>]) -> Option<(&'n [Node<'a>], &'n [Node<'a>])> {
    let then = rest.iter().position(|item| item.head() == "then")?;
    let (condition, arms) = rest.split_at(then);
    let is_list = |item: &Node<'_>| matches!(item, Node::List(..));
    let is_whole = match arms {
        [_] => true,
        [_, last] => last.head() == "else",
        _ => false,
    };
    (is_whole && condition.iter().all(is_list)).then_some((condition, arms))
}

/// Whether these are `do`, and then any `catch` and at most one `catch_all`, or `delegate`.
fn are_arms(arms: &[Node<'_>]) -> bool {
    let Some((first, handlers)) = arms.split_first() else {
        return false;
    };
    let are_handlers = match handlers {
        [] => true,
        [only] if only.head() == "delegate" => true,
        [catches @ .., last] => {
            catches.iter().all(|arm| arm.head() == "catch") && ["catch", "catch_all"].contains(&last.head())
        }
    };
    first.head() == "do" && are_handlers
}

fn flatten_all<'a>(nodes: &[Node<'a>], out: &mut Out<'a>) {
    nodes.iter().for_each(|node| flatten(node, out));
}

fn flatten<'a>(node: &Node<'a>, out: &mut Out<'a>) {
    let head = node.head();
    match head {
        // A word, or a list that no word begins.
        "" => out.node(node),
        "block" | "loop" | "try_table" => {
            let (header, body) = split_header(node);
            out.word(head, head);
            out.nodes(header);
            flatten_all(body, out);
            out.word("end", node.close());
        }
        "if" => {
            let (header, rest) = split_header(node);
            let Some((condition, arms)) = split_if(rest) else {
                return out.node(node);
            };
            flatten_all(condition, out);
            out.word(head, head);
            out.nodes(header);
            for arm in arms {
                if arm.head() == "else" {
                    out.word("else", arm.head());
                }
                flatten_all(arm.items(), out);
            }
            out.word("end", node.close());
        }
        "try" => {
            let (header, arms) = split_header(node);
            if !are_arms(arms) {
                return out.node(node);
            }
            out.word(head, head);
            out.nodes(header);
            for arm in arms {
                if arm.head() != "do" {
                    out.word(arm.head(), arm.head());
                }
                flatten_all(arm.items(), out);
            }
            if !arms.iter().any(|arm| arm.head() == "delegate") {
                out.word("end", node.close());
            }
        }
        // Parts of others, and annotations.
        "do" | "then" | "else" | "catch" | "catch_all" | "delegate" | "end" => out.node(node),
        _ if head.starts_with('@') => out.node(node),
        _ => {
            let types = ["type", "param", "result", "ref"];
            let is_immediate = |item: &&Node<'_>| match item {
                Node::Word(_) => true,
                Node::List(..) => types.contains(&item.head()),
            };
            let items = node.items();
            let immediates = items.iter().take_while(is_immediate).count();
            let (immediates, operands) = items.split_at(immediates);
            flatten_all(operands, out);
            out.word(head, head);
            out.nodes(immediates);
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
    use super::{Flat, binary};
    use std::path::Path;

    fn words(text: &str) -> String {
        let flat = Flat::of(text);
        let words: Vec<&str> = flat.text().split_whitespace().collect();
        words.join(" ")
    }

    #[test]
    fn a_folded_try_becomes_flat_and_keeps_its_lines() {
        let text = "(module (func $f (result i32)\n (i32.add (i32.const 1)\n (try $l (result i32) (do (call $g)) ;; why\n (catch $e (nop)) (catch_all (rethrow 0))))))\n(assert_return)";
        assert_eq!(
            words(text),
            "(module (func $f (result i32 ) i32.const 1 try $l (result i32 ) call $g catch $e nop catch_all \
             rethrow 0 end i32.add ) ) (assert_return)"
        );
        assert_eq!(
            Flat::of(text).text().matches('\n').count(),
            text.matches('\n').count()
        );
    }

    #[test]
    fn an_if_around_and_a_delegate_inside_become_flat() {
        let text = "(func (if (local.get 0) (then (try (do (throw 0)) (delegate 0))) (else (nop))))";
        assert_eq!(
            words(text),
            "(func local.get 0 if try throw 0 delegate 0 else nop end )"
        );
    }

    #[test]
    fn other_text_stays() {
        for text in ["(func (nop)) ;; (do", "(func (try (do (nop)", "(do \"(try\")"] {
            assert_eq!(Flat::of(text).text(), text);
        }
    }

    #[test]
    fn each_place_has_one_in_the_source() {
        let text = "(module (func (drop (i32.add ;; why\n (i32.const 1) (try (result i32) (do $x) (catch_all $y)))))) $z";
        let flat = Flat::of(text);
        for word in [
            "module",
            "drop",
            "i32.add",
            "i32.const",
            "try",
            "$x",
            "catch_all",
            "$y",
            "$z",
        ] {
            let at = flat.text().find(word).expect("it is kept");
            assert_eq!(Some(flat.origin(at)), text.find(word), "{word}");
        }
        let end = flat.text().find("end").expect("it ends the `try`");
        assert_eq!(&text[flat.origin(end) - 3..][..5], "$y)))");
        assert_eq!(flat.origin(flat.text().len()), text.len());
        assert_eq!(Flat::of("(func)").origin(3), 3);
    }

    /// What comes of a module with this body.
    fn outcome(body: &str) -> String {
        let text = format!("(module (tag $e)\n(func (export \"a;;b\") (param $p\ni32)\n{body}))");
        match binary(&text, Path::new("t.wat")) {
            Some(Ok(_)) => "accepted".to_string(),
            Some(Err(error)) => {
                let (line, column) = error.span().linecol_in(&text);
                format!("{}:{}", line + 1, column + 1)
            }
            None => "no folded try".to_string(),
        }
    }

    #[test]
    fn arms_have_their_order() {
        for body in [
            "(try (do))",
            "(try $l (do nop (nop)) (catch $e) (catch $e (rethrow $l)))",
            "(try (do) (catch_all))",
            "(try (do) (delegate 0))",
            "(if (try (result i32) (do (i32.const 0)) (catch_all (i32.const 1))) (then (nop)))",
        ] {
            assert_eq!(outcome(body), "accepted", "{body}");
        }
        for (body, place) in [
            ("(try (nop) (do))", "4:13"),
            ("(try (do) (nop))", "4:7"),
            ("(try (do) (catch_all) (catch $e))", "4:7"),
            ("(try (do) (delegate 0) (catch_all))", "4:7"),
            ("(try (do) (catch $none))", "4:18"),
            ("(try (do) (catch_all (i32.cons 1)))", "4:23"),
            ("(try (do)) (if (nop) (else))", "4:29"),
        ] {
            assert_eq!(outcome(body), place, "{body}");
        }
        assert_eq!(outcome("try nop catch_all end"), "no folded try");
        assert_eq!(outcome("(try (do)) ;; \u{202e}"), "no folded try");
    }
}
