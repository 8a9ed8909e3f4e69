//! The shape table: how the attribute list of a record is rebuilt from its columns (invariant I3). A shape is
//! stored once per segment; each row and each context names one.

use skein_event::batch::{ContextShape, Token, TokenKind};

use super::header::Version;
use super::ints::Ints;
use super::ints_write::{Effort, write_in_place, write_random_access};
use super::layout::Chunk;
use super::reader::Segment;
use crate::error::Error;

/// Appends shapes: where each ends, then kinds, keys and targets of their tokens, then which are templates.
pub(crate) fn write_shapes(
    tokens: &[Token],
    ends: &[u32],
    templates: &[bool],
    effort: Effort,
    out: &mut Vec<u8>,
) {
    write_random_access(ends, out);
    write_in_place(&tokens.iter().map(|token| token.kind as u32).collect::<Vec<_>>(), effort, out);
    write_in_place(&tokens.iter().map(|token| token.key).collect::<Vec<_>>(), effort, out);
    write_in_place(&tokens.iter().map(|token| token.target).collect::<Vec<_>>(), effort, out);
    write_random_access(templates, out);
}

impl Segment {
    /// The shapes; keys and inline values are codes of the segment's names, targets are [`ColumnId`]s.
    pub fn shapes(&self) -> Result<Shapes<'_>, Error> {
        let bytes = self.fixed_chunk(Chunk::ShapeTable)?;
        let shapes = Shapes::open(bytes, self.shape_count(), self)?;
        self.check_once(Chunk::ShapeTable as usize, || {
            validate_shapes(&shapes, self.column_count(), self.names_len())
        })?;
        Ok(shapes)
    }

    /// The shapes of each context.
    pub fn context_shapes(&self) -> Result<Vec<ContextShape>, Error> {
        let (resources, scopes) = self.shapes_of_contexts()?;
        let pairs = resources.to_vec_u32().into_iter().zip(scopes.to_vec_u32());
        Ok(pairs.map(|(resource, scope)| ContextShape { resource, scope }).collect())
    }

    /// The same in encoded form: of resources, and of scopes.
    pub(super) fn shapes_of_contexts(&self) -> Result<(Ints<'_>, Ints<'_>), Error> {
        let bytes = self.fixed_chunk(Chunk::ContextShapes)?;
        let (resources, rest) = Ints::open(bytes, self.version())?;
        let (scopes, _) = Ints::open(rest, self.version())?;
        let contexts = self.contexts() as usize;
        if resources.len() != contexts || scopes.len() != contexts {
            return Err(Error::damaged("there are more or fewer context shapes than contexts"));
        }
        let last = i64::from(self.shape_count()) - 1;
        self.check_once(Chunk::ContextShapes as usize, || {
            resources.validate(0, last)?;
            scopes.validate(0, last)
        })?;
        Ok((resources, scopes))
    }
}

/// A segment's shapes. Keys and inline values are codes of the segment's dictionary; column targets are the
/// numbers of [`super::ColumnId`].
#[derive(Clone, Copy, Debug)]
pub struct Shapes<'a> {
    ends: Ints<'a>,
    kinds: Ints<'a>,
    keys: Ints<'a>,
    targets: Ints<'a>,
    /// Of version 1 there are none.
    templates: Option<Ints<'a>>,
}

impl<'a> Shapes<'a> {
    pub(crate) fn open(bytes: &'a [u8], shapes: u32, segment: &'a Segment) -> Result<Shapes<'a>, Error> {
        let version = segment.version();
        let (ends, rest) = Ints::open(bytes, version)?;
        let (kinds, rest) = Ints::open_in(rest, segment)?;
        let (keys, rest) = Ints::open_in(rest, segment)?;
        let (targets, rest) = Ints::open_in(rest, segment)?;
        let templates = match version {
            Version::V1 => None,
            Version::V2 | Version::V3 => Some(Ints::open(rest, version)?.0),
        };
        let tokens = kinds.len();
        if ends.len() != shapes as usize
            || keys.len() != tokens
            || targets.len() != tokens
            || templates.is_some_and(|templates| templates.len() != ends.len())
        {
            return Err(Error::damaged("the shape table's parts differ in length"));
        }
        Ok(Shapes { ends, kinds, keys, targets, templates })
    }

    /// Number of shapes.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Whether a shape is a template: a row has those of its attributes whose column has a value there.
    pub fn is_template(&self, shape: u32) -> bool {
        self.templates.is_some_and(|templates| templates.get(shape as usize) == 1)
    }

    /// Replaces `out` by the tokens of a shape; an unknown shape has none.
    pub fn tokens(&self, shape: u32, out: &mut Vec<Token>) {
        out.clear();
        let shape = shape as usize;
        if shape >= self.len() {
            return;
        }
        let place = |value: i64| usize::try_from(value).unwrap_or(0);
        let start = if shape == 0 { 0 } else { place(self.ends.get(shape - 1)) };
        let code = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
        let tokens = start..place(self.ends.get(shape));
        // Side by side: a directory is read once for the tokens of a block, not once a token.
        let [mut kinds, mut keys, mut targets] = <[Vec<i64>; 3]>::default();
        self.kinds.run(tokens.clone(), &mut kinds);
        self.keys.run(tokens.clone(), &mut keys);
        self.targets.run(tokens, &mut targets);
        out.extend(kinds.into_iter().zip(keys).zip(targets).filter_map(|((kind, key), target)| {
            let kind = u8::try_from(kind).ok().and_then(TokenKind::from_number)?;
            Some(Token { kind, key: code(key), target: code(target) })
        }));
    }
}

/// Checks every index of the table. Done once, after its checksum.
pub(crate) fn validate_shapes(shapes: &Shapes<'_>, columns: u32, values: u32) -> Result<(), Error> {
    let tokens = shapes.kinds.len();
    let ends = shapes.ends.to_vec();
    let rising = ends.windows(2).all(|pair| pair[0] <= pair[1]) && ends.first().is_none_or(|&end| end >= 0);
    let whole = ends.last().map_or(0, |&end| usize::try_from(end).unwrap_or(usize::MAX)) == tokens;
    if !rising || !whole {
        return Err(Error::damaged("shapes do not follow one another"));
    }
    shapes.keys.validate(0, i64::from(values) - 1)?;
    shapes.kinds.validate(0, i64::from(u8::MAX))?;
    shapes.targets.validate(0, i64::from(u32::MAX))?;
    let (kinds, targets) = (shapes.kinds.to_vec(), shapes.targets.to_vec());
    for (&kind, &target) in kinds.iter().zip(&targets) {
        let kind = u8::try_from(kind).ok().and_then(TokenKind::from_number);
        let bound = match kind {
            Some(kind) if kind.targets_column() => columns,
            Some(kind) if kind.targets_dictionary() => values,
            Some(_) => u32::MAX,
            None => return Err(Error::damaged("a shape holds an unknown token")),
        };
        if !(0..i64::from(bound)).contains(&target) {
            return Err(Error::damaged("a shape's target does not exist"));
        }
    }
    if let Some(templates) = shapes.templates {
        templates.validate(0, 1)?;
    }
    let mut start = 0;
    for (shape, end) in (0_u32..).zip(ends) {
        let end = usize::try_from(end).unwrap_or(tokens);
        let is_plain =
            |kind: &i64| *kind == TokenKind::Value as i64 || *kind == TokenKind::InvalidText as i64;
        if shapes.is_template(shape) && !kinds.get(start..end).unwrap_or(&[]).iter().all(is_plain) {
            return Err(Error::damaged("a template of shapes holds more than attributes"));
        }
        if !is_balanced(kinds.get(start..end).unwrap_or(&[])) {
            return Err(Error::damaged("a shape's kvlists do not open and close in pairs"));
        }
        start = end;
    }
    Ok(())
}

/// Whether each kvlist that opens within a shape closes within it, and none closes that is not open.
fn is_balanced(kinds: &[i64]) -> bool {
    let mut depth = 0_usize;
    for &kind in kinds {
        if kind == TokenKind::Open as i64 {
            depth += 1;
        } else if kind == TokenKind::Close as i64 {
            let Some(outer) = depth.checked_sub(1) else { return false };
            depth = outer;
        }
    }
    depth == 0
}
