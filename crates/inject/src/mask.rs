//! A stream with values taken out of it, wherever writes were cut.
//!
//! Every byte that belongs to an occurrence of a pattern is hidden, also where occurrences overlap; each run of hidden bytes goes
//! out as [`MASK`]. A byte is held back only while it may still belong to an occurrence (Aho and Corasick, 1975: the longest end
//! of the stream that begins a pattern).

use std::sync::Arc;

use zeroize::{Zeroize, Zeroizing};

use crate::forms::{self, Forms};

/// What stands where a value stood.
pub const MASK: &[u8] = b"<hidden by touchkeep>";

const ROOT: u32 = 0;
const NONE: u32 = u32::MAX;

/// What is looked for.
pub struct Patterns {
    nodes: Vec<Node>,
    // The root's children, by byte.
    first: Zeroizing<Vec<u32>>,
    longest: usize,
}

// One place in the tree of patterns. Children are a list: nearly all nodes have one.
#[derive(Clone, Copy, Zeroize)]
struct Node {
    byte: u8,
    depth: u32,
    // The shortest pattern that goes through here.
    shortest: u32,
    // The longest pattern that ends here, or at an end of what leads here.
    hides: u32,
    fail: u32,
    child: u32,
    sibling: u32,
}

impl Patterns {
    /// Patterns for values; those that are too short ([`forms::is_maskable`]) are left out.
    #[must_use]
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>, forms: Forms) -> Self {
        let mut patterns = Self {
            nodes: vec![Node::at(0, 0)],
            first: Zeroizing::new(vec![NONE; 256]),
            longest: 0,
        };
        for value in values {
            for form in forms::of(value, forms) {
                patterns.insert(&form);
            }
        }
        patterns.link();
        patterns
    }

    /// Whether nothing is looked for.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.longest == 0
    }

    fn insert(&mut self, pattern: &[u8]) {
        let Ok(len) = u32::try_from(pattern.len()) else {
            return;
        };
        self.longest = self.longest.max(pattern.len());
        let mut at = ROOT;
        for byte in pattern {
            at = match self.child(at, *byte) {
                NONE => self.grow(at, *byte),
                child => child,
            };
            if let Some(node) = self.nodes.get_mut(at as usize) {
                node.shortest = node.shortest.min(len);
            }
        }
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.hides = len;
        }
    }

    fn grow(&mut self, parent: u32, byte: u8) -> u32 {
        let Ok(new) = u32::try_from(self.nodes.len()) else {
            return ROOT;
        };
        let mut node = Node::at(byte, self.node(parent).depth + 1);
        if let Some(parent) = self.nodes.get_mut(parent as usize) {
            node.sibling = std::mem::replace(&mut parent.child, new);
        }
        if parent == ROOT
            && let Some(slot) = self.first.get_mut(usize::from(byte))
        {
            *slot = new;
        }
        self.push(node);
        new
    }

    // Where a `Vec` would leave a copy of the tree behind when it moves, this wipes the old place.
    fn push(&mut self, node: Node) {
        if self.nodes.len() == self.nodes.capacity() {
            let mut moved = Vec::with_capacity(self.nodes.len() * 2);
            moved.extend_from_slice(&self.nodes);
            self.nodes.zeroize();
            self.nodes = moved;
        }
        self.nodes.push(node);
    }

    // Breadth first: what leads to a node is linked before it.
    fn link(&mut self) {
        let mut queue = std::collections::VecDeque::from([ROOT]);
        while let Some(at) = queue.pop_front() {
            let Node {
                fail, mut child, ..
            } = self.node(at);
            while child != NONE {
                let Node { byte, sibling, .. } = self.node(child);
                let fallback = if at == ROOT {
                    ROOT
                } else {
                    self.step(fail, byte)
                };
                let inherited = self.node(fallback).hides;
                if let Some(node) = self.nodes.get_mut(child as usize) {
                    node.fail = fallback;
                    node.hides = node.hides.max(inherited);
                }
                queue.push_back(child);
                child = sibling;
            }
        }
    }

    fn step(&self, mut at: u32, byte: u8) -> u32 {
        loop {
            match self.child(at, byte) {
                NONE if at == ROOT => return ROOT,
                NONE => at = self.node(at).fail,
                child => return child,
            }
        }
    }

    fn child(&self, at: u32, byte: u8) -> u32 {
        if at == ROOT {
            return self.first.get(usize::from(byte)).copied().unwrap_or(NONE);
        }
        let mut child = self.node(at).child;
        while child != NONE {
            let node = self.node(child);
            if node.byte == byte {
                break;
            }
            child = node.sibling;
        }
        child
    }

    fn node(&self, at: u32) -> Node {
        self.nodes
            .get(at as usize)
            .copied()
            .unwrap_or(Node::at(0, 0))
    }

    // Bytes at the beginning that begin no pattern.
    fn plain(&self, bytes: &[u8]) -> usize {
        bytes
            .iter()
            .position(|byte| self.child(ROOT, *byte) != NONE)
            .unwrap_or(bytes.len())
    }
}

impl Drop for Patterns {
    fn drop(&mut self) {
        self.nodes.zeroize();
    }
}

impl Node {
    const fn at(byte: u8, depth: u32) -> Self {
        Self {
            byte,
            depth,
            shortest: u32::MAX,
            hides: 0,
            fail: ROOT,
            child: NONE,
            sibling: NONE,
        }
    }
}

/// One stream that is masked.
pub struct Mask {
    patterns: Arc<Patterns>,
    at: u32,
    held: Held,
    // Whether what went out last was hidden.
    in_mask: bool,
}

impl Mask {
    /// A stream at its beginning.
    #[must_use]
    pub fn new(patterns: Arc<Patterns>) -> Self {
        let held = Held::with_room_for(patterns.longest + 1);
        Self {
            patterns,
            at: ROOT,
            held,
            in_mask: false,
        }
    }

    /// Takes bytes in, and appends to `out` what is decided.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while let Some((byte, rest)) = bytes.split_first() {
            if self.at == ROOT {
                let (plain, rest) = bytes.split_at(self.patterns.plain(bytes));
                if !plain.is_empty() {
                    out.extend_from_slice(plain);
                    self.in_mask = false;
                    bytes = rest;
                    continue;
                }
            }
            self.held.push(*byte);
            self.at = self.patterns.step(self.at, *byte);
            let node = self.patterns.node(self.at);
            self.held.hide_last(node.hides as usize);
            self.let_go(node.depth as usize, out);
            bytes = rest;
        }
    }

    /// Whether bytes are held back.
    #[must_use]
    pub const fn is_holding(&self) -> bool {
        self.held.len > 0
    }

    /// Nothing came for a while, and somebody may wait for what is held: lets go of what is less than half of a value, and of whole
    /// ones. What follows is still hidden when it completes one. Half of a value is held as long as more may come.
    pub fn pause(&mut self, out: &mut Vec<u8>) {
        let node = self.patterns.node(self.at);
        let is_whole = node.hides == node.depth;
        if is_whole || node.depth.saturating_mul(2) < node.shortest {
            self.let_go(0, out);
        }
    }

    /// The stream has ended.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.let_go(0, out);
        self.at = ROOT;
    }

    fn let_go(&mut self, keep: usize, out: &mut Vec<u8>) {
        while self.held.len > keep {
            let (byte, hidden) = self.held.pop();
            if !hidden {
                out.push(byte);
            } else if !self.in_mask {
                out.extend_from_slice(MASK);
            }
            self.in_mask = hidden;
        }
    }
}

// A ring of fixed size, so that no byte of a value is left behind in memory.
struct Held {
    bytes: Zeroizing<Vec<u8>>,
    hidden: Vec<bool>,
    begin: usize,
    len: usize,
}

impl Held {
    fn with_room_for(size: usize) -> Self {
        Self {
            bytes: Zeroizing::new(vec![0; size]),
            hidden: vec![false; size],
            begin: 0,
            len: 0,
        }
    }

    fn place(&self, index: usize) -> usize {
        (self.begin + index) % self.hidden.len()
    }

    fn push(&mut self, byte: u8) {
        let place = self.place(self.len);
        if let (Some(to), Some(hidden)) = (self.bytes.get_mut(place), self.hidden.get_mut(place)) {
            (*to, *hidden) = (byte, false);
            self.len += 1;
        }
    }

    fn hide_last(&mut self, count: usize) {
        for index in self.len.saturating_sub(count)..self.len {
            let place = self.place(index);
            if let Some(hidden) = self.hidden.get_mut(place) {
                *hidden = true;
            }
        }
    }

    fn pop(&mut self) -> (u8, bool) {
        let place = self.begin;
        let byte = self.bytes.get(place).copied().unwrap_or_default();
        let hidden = self.hidden.get(place).copied().unwrap_or(true);
        self.begin = self.place(1);
        self.len -= 1;
        (byte, hidden)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HIDDEN: &str = "<hidden by touchkeep>";

    fn masked(values: &[&str], forms: Forms, chunks: &[&[u8]]) -> Vec<u8> {
        let mut mask = Mask::new(Arc::new(Patterns::new(values.iter().copied(), forms)));
        let mut out = Vec::new();
        for chunk in chunks {
            mask.push(chunk, &mut out);
        }
        mask.finish(&mut out);
        out
    }

    fn text(values: &[&str], input: &str) -> String {
        String::from_utf8(masked(values, Forms::Encoded, &[input.as_bytes()])).unwrap()
    }

    #[test]
    fn a_value_is_hidden_wherever_it_is_cut() {
        let (value, input) = (
            "s3cr3t-s3cr3t-x",
            b"a s3cr3t-s3cr3t-s3cr3t-x b s3cr3t".as_slice(),
        );
        for cut in 0..=input.len() {
            let (a, b) = input.split_at(cut);
            let out = masked(&[value], Forms::Exact, &[a, b]);
            assert_eq!(
                String::from_utf8(out).unwrap(),
                format!("a s3cr3t-{HIDDEN} b s3cr3t"),
                "cut at {cut}"
            );
        }
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(
            masked(&[value], Forms::Exact, &bytes),
            format!("a s3cr3t-{HIDDEN} b s3cr3t").into_bytes()
        );
    }

    #[test]
    fn what_overlaps_is_hidden_as_a_whole() {
        assert_eq!(
            text(&["abcdef", "abcdefgh"], "xabcdefghx abcdefx"),
            format!("x{HIDDEN}x {HIDDEN}x")
        );
        assert_eq!(
            text(&["abcdef", "defghi"], "abcdefghi!"),
            format!("{HIDDEN}!")
        );
        assert_eq!(text(&["abcabc"], "abcabcabc!"), format!("{HIDDEN}!"));
    }

    #[test]
    fn encoded_values_are_hidden_too() {
        let value = "pä/ss+w0rd \"x\"";
        for input in [
            "cMOkL3NzK3cwcmQgIngi",            // base64 <<< value
            "dXNlcjpww6Qvc3MrdzByZCAieCI=",    // base64 <<< user:value
            "70c3a42f73732b773072642022782 2", // not quite its hex: left alone
            "70c3a42f73732b7730726420227822",
            "p%C3%A4%2Fss%2Bw0rd%20%22x%22",
            "p%c3%a4%2fss%2bw0rd%20%22x%22",
            "p%C3%A4%2Fss%2Bw0rd+%22x%22",
            "pä/ss+w0rd \\\"x\\\"",
            "p\\u00e4/ss+w0rd \\\"x\\\"",
            "p\\u00e4\\/ss+w0rd \\\"x\\\"",
        ] {
            let out = text(&[value], input);
            assert_eq!(
                out.contains(HIDDEN),
                !input.contains(" 2"),
                "{input} became {out}"
            );
        }
        let exact = masked(&[value], Forms::Exact, &[b"cMOkL3NzK3cwcmQgIngi"]);
        assert_eq!(exact, b"cMOkL3NzK3cwcmQgIngi");
    }

    #[test]
    fn lines_of_a_key_are_hidden_on_a_terminal_too() {
        let key =
            "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(
            text(
                &[key],
                &format!("{}!", key.trim_end().replace('\n', "\r\n"))
            ),
            format!("{HIDDEN}!")
        );
        assert_eq!(
            text(&[key], "  MC4CAQAwBQYDK2VwBCIEIAAA\n"),
            format!("  {HIDDEN}\n")
        );
        assert_eq!(
            text(&[key], "-----BEGIN PRIVATE KEY-----\n"),
            "-----BEGIN PRIVATE KEY-----\n"
        );
    }

    #[test]
    fn short_values_are_left_alone() {
        assert_eq!(text(&["12345"], "12345 MTIzNDU="), "12345 MTIzNDU=");
        assert!(Patterns::new(["12345"], Forms::Encoded).is_empty());
    }

    #[test]
    fn only_what_may_still_be_a_value_is_held() {
        let mut mask = Mask::new(Arc::new(Patterns::new(["abcdefgh"], Forms::Exact)));
        let mut out = Vec::new();
        mask.push(b"xabc", &mut out);
        assert_eq!((out.as_slice(), mask.is_holding()), (b"x".as_slice(), true));
        mask.push(b"dx", &mut out);
        assert_eq!(
            (out.as_slice(), mask.is_holding()),
            (b"xabcdx".as_slice(), false)
        );
    }

    #[test]
    fn a_pause_lets_go_of_little_and_never_of_most() {
        let mut mask = Mask::new(Arc::new(Patterns::new(["abcdefgh"], Forms::Exact)));
        let mut out = Vec::new();
        mask.push(b"abc", &mut out);
        mask.pause(&mut out);
        assert_eq!(out, b"abc");
        mask.push(b"de", &mut out);
        mask.pause(&mut out);
        assert_eq!(out, b"abc", "more than half of it is held");
        mask.push(b"fgh.", &mut out);
        assert_eq!(out, [b"abc", MASK, b"."].concat());
        mask.push(b"abcdefg", &mut out);
        mask.pause(&mut out);
        mask.pause(&mut out);
        assert!(out.ends_with(b"."), "for as long as more may come");
        mask.finish(&mut out);
        assert!(out.ends_with(b".abcdefg"));
    }

    // The same by brute force: every byte of every occurrence.
    fn by_brute_force(values: &[Vec<u8>], input: &[u8]) -> Vec<u8> {
        let mut hidden = vec![false; input.len()];
        for value in values {
            for at in 0..input.len() {
                if input[at..].starts_with(value) {
                    hidden[at..at + value.len()].fill(true);
                }
            }
        }
        let mut out = Vec::new();
        for (at, byte) in input.iter().enumerate() {
            match (hidden[at], at > 0 && hidden[at - 1]) {
                (false, _) => out.push(*byte),
                (true, false) => out.extend_from_slice(MASK),
                (true, true) => {}
            }
        }
        out
    }

    proptest! {
        #[test]
        fn any_cut_gives_what_brute_force_gives(
            values in prop::collection::vec("[ab]{6,9}", 1..4),
            chunks in prop::collection::vec(prop::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), any::<u8>()], 0..12), 0..20),
        ) {
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let texts: Vec<&str> = values.iter().map(String::as_str).collect();
            let patterns: Vec<_> = values.iter().map(|value| value.clone().into_bytes()).collect();
            let input = chunks.concat();
            prop_assert_eq!(masked(&texts, Forms::Exact, &chunks), by_brute_force(&patterns, &input));
        }

        #[test]
        fn what_holds_no_value_goes_out_byte_for_byte(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..20)) {
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let out = masked(&["a-value-that-no-chance-writes"], Forms::Encoded, &chunks);
            prop_assert_eq!(out, chunks.concat());
        }

        #[test]
        fn base64_of_a_value_inside_anything_is_found(before in "[a-z]{0,5}", value in "[!-~]{12,40}", after in "[a-z]{0,5}") {
            use base64::Engine;
            let encoded = base64::prelude::BASE64_STANDARD.encode(format!("{before}{value}{after}"));
            let out = text(&[&value], &encoded);
            prop_assert!(out.contains(HIDDEN), "{} became {}", encoded, out);
        }
    }
}
