//! Predicts the next attribute of a record from the records before.
//!
//! Records of one kind repeat their attribute lists. The lists seen so far form a tree whose edges are
//! (key, kind of value); a record walks it from the root of its kind. Where the next attribute is an edge, one
//! comparison of key bytes gives its column, with no hashing, and the node at the end gives the shape of the
//! whole list. Where it is not, the record adds an edge, or goes on off the tree when the tree is full: lists
//! without repetition (keys that are ids) must not fill the memory.

use skein_event::batch::{Token, TokenKind};
use skein_event::limits::{SHAPE_EDGES_MAX, SHAPE_STEPS_MAX};
use skein_event::same::same;

/// No node.
pub(crate) const NONE: u32 = u32::MAX;

/// What a record's list belongs to. Each kind has its own root, since their lists differ from the first key on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum Root {
    Span = 0,
    SpanEvent = 1,
    Link = 2,
    Log = 3,
    Point = 4,
}

const ROOTS: u32 = 5;

/// The kind of an attribute's value, as far as its token depends on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Step {
    Text,
    Bool,
    I64,
    F64,
    Bytes,
    Json,
    InvalidText,
    Open,
    Close,
    Empty,
    Absent,
    Point,
}

#[derive(Debug)]
struct Node {
    token: Token,
    parent: u32,
    first_edge: u32,
    next_edge: u32,
    /// Shape of the list that ends here, once one did.
    shape: u32,
    key_start: u32,
    key_length: u32,
    step: Step,
}

/// The tree.
#[derive(Debug)]
pub(crate) struct ShapePaths {
    nodes: Vec<Node>,
    keys: Vec<u8>,
}

impl ShapePaths {
    pub(crate) fn new() -> ShapePaths {
        let token = Token { kind: TokenKind::Empty, key: 0, target: 0 };
        let root = |_| Node {
            token,
            parent: NONE,
            first_edge: NONE,
            next_edge: NONE,
            shape: NONE,
            key_start: 0,
            key_length: 0,
            step: Step::Empty,
        };
        ShapePaths { nodes: (0..ROOTS).map(root).collect(), keys: Vec::new() }
    }

    /// The end of the edge from `node` with this key and step.
    #[inline]
    pub(crate) fn follow(&self, node: u32, step: Step, key: &[u8]) -> Option<(u32, Token)> {
        let mut edge = self.nodes.get(node as usize)?.first_edge;
        while let Some(next) = self.nodes.get(edge as usize) {
            if next.step == step && same(self.key(next), key) {
                return Some((edge, next.token));
            }
            edge = next.next_edge;
        }
        None
    }

    /// Adds an edge; `None` when there are too many.
    pub(crate) fn add(&mut self, node: u32, step: Step, key: &[u8], token: Token) -> Option<u32> {
        if self.nodes.len() >= SHAPE_STEPS_MAX || key.len() > usize::from(u16::MAX) {
            return None;
        }
        let mut edges = 0;
        let mut last = NONE;
        let mut edge = self.nodes.get(node as usize)?.first_edge;
        while let Some(next) = self.nodes.get(edge as usize) {
            edges += 1;
            last = edge;
            edge = next.next_edge;
        }
        if edges >= SHAPE_EDGES_MAX {
            return None;
        }
        let added = u32::try_from(self.nodes.len()).ok()?;
        let key_start = u32::try_from(self.keys.len()).ok()?;
        let key_length = u32::try_from(key.len()).ok()?;
        self.keys.extend_from_slice(key);
        self.nodes.push(Node {
            token,
            parent: node,
            first_edge: NONE,
            next_edge: NONE,
            shape: NONE,
            key_start,
            key_length,
            step,
        });
        match self.nodes.get_mut(last as usize) {
            Some(sibling) => sibling.next_edge = added,
            None => self.nodes.get_mut(node as usize)?.first_edge = added,
        }
        Some(added)
    }

    /// The tokens from the root to a node.
    pub(crate) fn tokens(&self, mut node: u32, tokens: &mut Vec<Token>) {
        tokens.clear();
        while let Some(step) = self.nodes.get(node as usize).filter(|step| step.parent != NONE) {
            tokens.push(step.token);
            node = step.parent;
        }
        tokens.reverse();
    }

    /// The shape of the list that ends at a node, if one did before.
    #[inline]
    pub(crate) fn shape(&self, node: u32) -> Option<u32> {
        self.nodes.get(node as usize).map(|node| node.shape).filter(|&shape| shape != NONE)
    }

    /// Remembers the shape of the list that ends at a node.
    pub(crate) fn set_shape(&mut self, node: u32, shape: u32) {
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.shape = shape;
        }
    }

    #[inline]
    fn key(&self, node: &Node) -> &[u8] {
        let start = node.key_start as usize;
        self.keys.get(start..start + node.key_length as usize).unwrap_or_default()
    }
}
