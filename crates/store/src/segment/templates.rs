//! The shapes of a segment under construction (invariant I3: how each record's attribute list is rebuilt).
//!
//! With optional attributes nearly every record has a shape of its own, and shapes would take more room than
//! values. So a shape may be a *template*: an ordered list of attributes of which a row has those whose column
//! has a value there. A row may use a template only when its attributes are exactly its values in columns of
//! attributes ([`names_all`]); then it does not matter what else the template lists, and templates of equal
//! order grow into one.
//!
//! What this module refuses to do: to reorder. Records whose attributes come in another order have another
//! template; whatever else a shape may hold (nesting, empty values, keys that came twice) is kept exactly.

use std::collections::HashMap;

use skein_event::batch::{EventBatch, Origin, Presence, Token, TokenKind};

use super::bytes::count;
use super::source::UNUSED;

/// Templates that a shape is compared with: those used last. A service has a few orders of attributes.
const TEMPLATES_TRIED: usize = 32;

/// The shapes, each once.
#[derive(Default)]
pub(super) struct ShapeSet {
    shapes: Vec<Shape>,
    exact: HashMap<Box<[Token]>, u32>,
    /// Numbers of the templates, the last used first.
    recent: Vec<u32>,
}

struct Shape {
    tokens: Vec<Token>,
    template: Option<Places>,
}

/// The place of each column in a template.
struct Places(Vec<u32>);

impl Places {
    fn of(tokens: &[Token]) -> Places {
        let length = tokens.iter().map(|token| token.target as usize + 1).max().unwrap_or(0);
        let mut places = vec![UNUSED; length];
        for (place, token) in (0_u32..).zip(tokens) {
            places[token.target as usize] = place;
        }
        Places(places)
    }

    fn get(&self, column: u32) -> Option<usize> {
        self.0.get(column as usize).copied().filter(|&place| place != UNUSED).map(|place| place as usize)
    }
}

/// Whether a shape is a list of attributes with values in columns of their own, and nothing else.
pub(super) fn can_be_template(tokens: &[Token], origin_of: impl Fn(u32) -> Origin) -> bool {
    let plain = |token: &Token| {
        matches!(token.kind, TokenKind::Value | TokenKind::InvalidText)
            && origin_of(token.target) == Origin::Item
    };
    let mut columns: Vec<u32> = tokens.iter().map(|token| token.target).collect();
    columns.sort_unstable();
    !tokens.is_empty() && tokens.iter().all(plain) && columns.windows(2).all(|pair| pair[0] != pair[1])
}

/// Whether the attributes of each row are exactly the row's values in columns of attributes.
pub(super) fn names_all(batch: &EventBatch) -> bool {
    // A sum of a number per column stands for a set of columns: two sets that differ share it once in 2^64.
    let number = |column: usize| {
        let mixed = (column as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ mixed >> 32
    };
    // Of each column; columns of other origins do not count.
    let mut numbers = vec![0_u64; batch.columns.len()];
    let mut everywhere = 0_u64;
    let mut sums = vec![0_u64; batch.rows()];
    for (place, column) in batch.columns.iter().enumerate() {
        if column.key.origin != Origin::Item {
            continue;
        }
        let number = number(place);
        numbers[place] = number;
        match &column.presence {
            Presence::All => everywhere = everywhere.wrapping_add(number),
            Presence::Rows(rows) => {
                for &row in rows {
                    sums[row as usize] = sums[row as usize].wrapping_add(number);
                }
            }
        }
    }
    let of_shape = |shape: u32| {
        let tokens = batch.shape_table.get(shape).iter().filter(|token| token.kind.targets_column());
        let numbers = tokens.map(|token| numbers.get(token.target as usize).copied().unwrap_or(0));
        numbers.fold(0_u64, u64::wrapping_add)
    };
    let mut shapes: Vec<Option<u64>> = vec![None; batch.shape_table.len()];
    sums.iter().zip(&batch.shapes).all(|(sum, &shape)| {
        let wanted = *shapes[shape as usize].get_or_insert_with(|| of_shape(shape));
        sum.wrapping_add(everywhere) == wanted
    })
}

impl ShapeSet {
    /// The number of an exact shape.
    pub(super) fn exact(&mut self, tokens: &[Token]) -> u32 {
        if let Some(&shape) = self.exact.get(tokens) {
            return shape;
        }
        let shape = count(self.shapes.len());
        self.exact.insert(Box::from(tokens), shape);
        self.shapes.push(Shape { tokens: tokens.to_vec(), template: None });
        shape
    }

    /// The number of a template that already holds these attributes in this order: the likely one, or one of
    /// those used last. What a template holds can be one, so nothing else needs to be checked.
    pub(super) fn known(&mut self, tokens: &[Token], likely: Option<u32>) -> Option<u32> {
        if tokens.is_empty() {
            return None;
        }
        if let Some(likely) = likely.filter(|&likely| self.shapes[likely as usize].holds(tokens)) {
            return Some(likely);
        }
        let tried = self.recent.len().min(TEMPLATES_TRIED);
        let place =
            self.recent[..tried].iter().position(|&shape| self.shapes[shape as usize].holds(tokens))?;
        self.recent[..=place].rotate_right(1);
        Some(self.recent[0])
    }

    /// The number of a template that holds these attributes in this order, which no known one does.
    pub(super) fn template(&mut self, tokens: &[Token]) -> u32 {
        if let Some(known) = self.known(tokens, None) {
            return known;
        }
        let mut best: Option<(usize, usize)> = None;
        for (place, &shape) in self.recent.iter().enumerate().take(TEMPLATES_TRIED) {
            match self.shapes[shape as usize].shared(tokens) {
                Some(shared) if best.is_none_or(|(_, most)| shared > most) => best = Some((place, shared)),
                _ => {}
            }
        }
        // Records that share less are of different kinds: one template for both would list much that neither has.
        if let Some((place, shared)) = best.filter(|(_, shared)| shared * 2 >= tokens.len()) {
            debug_assert!(shared < tokens.len());
            let shape = self.recent[place];
            self.shapes[shape as usize].extend(tokens);
            self.recent[..=place].rotate_right(1);
            return shape;
        }
        let shape = count(self.shapes.len());
        self.shapes.push(Shape { tokens: tokens.to_vec(), template: Some(Places::of(tokens)) });
        self.recent.insert(0, shape);
        shape
    }

    /// Numbers the columns of all tokens anew, when no more shapes come.
    pub(super) fn rank(&mut self, ranks: &[u32]) {
        for token in self.shapes.iter_mut().flat_map(|shape| &mut shape.tokens) {
            if token.kind.targets_column()
                && let Some(&rank) = ranks.get(token.target as usize)
            {
                token.target = rank;
            }
        }
    }

    /// Tokens of all shapes, where each shape ends among them, and which are templates.
    pub(super) fn into_parts(self) -> (Vec<Token>, Vec<u32>, Vec<bool>) {
        let (mut tokens, mut ends, mut templates) = (Vec::new(), Vec::new(), Vec::new());
        for shape in self.shapes {
            tokens.extend_from_slice(&shape.tokens);
            ends.push(count(tokens.len()));
            templates.push(shape.template.is_some());
        }
        (tokens, ends, templates)
    }
}

impl Shape {
    /// Whether it is a template of all these attributes in this order.
    fn holds(&self, tokens: &[Token]) -> bool {
        let Some(places) = &self.template else { return false };
        let mut next = 0;
        tokens.iter().all(|token| {
            // One that is nowhere lies beyond all tokens.
            let place = places.0.get(token.target as usize).map_or(usize::MAX, |&place| place as usize);
            let held = self.tokens.get(place);
            let is_held = place >= next && held.is_some_and(|held| *held == *token);
            next = place.wrapping_add(1);
            is_held
        })
    }

    /// How many of the attributes the template has; `None` when one is another there or the order differs.
    fn shared(&self, tokens: &[Token]) -> Option<usize> {
        let places = self.template.as_ref()?;
        let (mut next, mut shared) = (0, 0);
        for token in tokens {
            if let Some(place) = places.get(token.target) {
                if place < next || self.tokens[place] != *token {
                    return None;
                }
                next = place + 1;
                shared += 1;
            }
        }
        Some(shared)
    }

    /// Adds the attributes that the template lacks, each behind the one before it.
    fn extend(&mut self, tokens: &[Token]) {
        let places = Places::of(&self.tokens);
        let mut merged = Vec::with_capacity(self.tokens.len() + tokens.len());
        let mut next = 0;
        for token in tokens {
            if let Some(place) = places.get(token.target) {
                merged.extend_from_slice(&self.tokens[next..=place]);
                next = place + 1;
            } else {
                merged.push(*token);
            }
        }
        merged.extend_from_slice(&self.tokens[next..]);
        self.template = Some(Places::of(&merged));
        self.tokens = merged;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(columns: &[u32]) -> Vec<Token> {
        columns
            .iter()
            .map(|&column| Token { kind: TokenKind::Value, key: column + 100, target: column })
            .collect()
    }

    fn columns(set: ShapeSet) -> Vec<Vec<u32>> {
        set.shapes.iter().map(|shape| shape.tokens.iter().map(|token| token.target).collect()).collect()
    }

    #[test]
    fn optional_attributes_share_a_template() {
        let mut set = ShapeSet::default();
        for some in [&[1, 2, 3, 4][..], &[1, 3], &[1, 5, 4], &[2, 6, 3], &[0, 1, 2], &[6, 4]] {
            assert_eq!(set.template(&tokens(some)), 0);
        }
        assert_eq!(columns(set), [[0, 1, 5, 2, 6, 3, 4]]);
    }

    #[test]
    fn another_order_or_kind_is_another_template() {
        let mut set = ShapeSet::default();
        assert_eq!(set.template(&tokens(&[1, 2, 3])), 0);
        assert_eq!(set.template(&tokens(&[2, 1])), 1);
        assert_eq!(set.template(&tokens(&[7, 8, 3])), 2);
        assert_eq!(set.template(&tokens(&[1, 3])), 0);
        let renamed = Token { key: 9, ..tokens(&[3])[0] };
        assert_eq!(set.template(&[renamed]), 3);
        assert_eq!(set.exact(&tokens(&[1, 3])), 4);
        assert_eq!(set.exact(&tokens(&[1, 3])), 4);
    }

    #[test]
    fn only_plain_lists_are_templates() {
        let origin = |column: u32| if column < 5 { Origin::Item } else { Origin::Fixed };
        assert!(can_be_template(&tokens(&[3, 1]), origin));
        assert!(!can_be_template(&tokens(&[3, 1, 3]), origin));
        assert!(!can_be_template(&tokens(&[3, 6]), origin));
        assert!(!can_be_template(&[], origin));
        let nested = Token { kind: TokenKind::Open, key: 1, target: 0 };
        assert!(!can_be_template(&[nested], origin));
    }
}
