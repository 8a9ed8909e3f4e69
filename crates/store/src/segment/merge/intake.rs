//! Takes the sources of a merge in, each once: their columns, names, shapes, contexts, and of batches all values.
//! Numbers of columns are given in order of appearance here and become those of the footer at the end.

use skein_event::batch::{Origin, Token};
use skein_event::columns::Level;
use skein_event::hash::HashKey;

use super::super::pool::Pool;
use super::super::reader::RowField;
use super::super::source::{Open, Source, Taking, UNUSED};
use super::super::templates::{ShapeSet, can_be_template};
use super::super::union::{MergedColumn, Union};
use super::contexts::{ContextSignature, Contexts};
use super::stage::{Group, Piece, Recode, Stage};
use crate::error::Error;

/// What is known of the sources so far.
pub(super) struct Intake<'a> {
    hash_key: HashKey,
    sources: Vec<Open<'a>>,
    union: Union,
    contexts: Contexts,
    names: Pool,
    shapes: ShapeSet,
    pieces: Vec<Piece>,
    row_contexts: Vec<u32>,
    row_shapes: Vec<u32>,
    recode: Recode,
    /// Batches of the last piece whose columns are not taken in yet.
    group: Group<'a>,
    /// Tokens of the shape at hand.
    tokens: Vec<Token>,
    /// The shape of the last row of each context: the next row's is mostly the same template.
    likely: Vec<Option<u32>>,
}

/// All that the sources have in common.
pub(super) struct Taken<'a> {
    pub(super) sources: Vec<Open<'a>>,
    pub(super) columns: Vec<MergedColumn>,
    pub(super) contexts: Vec<ContextSignature>,
    pub(super) context_values: Pool,
    pub(super) names: Pool,
    pub(super) shapes: ShapeSet,
    pub(super) pieces: Vec<Piece>,
    pub(super) row_contexts: Vec<u32>,
    pub(super) row_shapes: Vec<u32>,
}

impl<'a> Intake<'a> {
    pub(super) fn new(hash_key: HashKey, rows: usize) -> Intake<'a> {
        Intake {
            hash_key,
            sources: Vec::new(),
            union: Union::new(hash_key),
            contexts: Contexts::default(),
            names: Pool::default(),
            shapes: ShapeSet::default(),
            pieces: Vec::new(),
            row_contexts: Vec::with_capacity(rows),
            row_shapes: Vec::with_capacity(rows),
            recode: Recode::default(),
            group: Group::default(),
            tokens: Vec::new(),
            likely: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, source: Source<'a>) -> Result<(), Error> {
        let mut open = Open::new(source)?;
        let number = self.sources.len();
        match (source, source.batch()) {
            (_, Some(batch)) => {
                let rows = self.union.batch(&batch.columns, Level::Row, number)?;
                open.columns = [rows, self.union.batch(&batch.context_columns, Level::Context, number)?];
            }
            (Source::Segment(segment), _) => {
                let mut numbers = vec![UNUSED; segment.column_count() as usize];
                for info in segment.columns() {
                    let info = info?;
                    let merged = self.union.of_segment(&info.key, number, info.id.0)?;
                    numbers[info.id.0 as usize] = merged;
                }
                open.columns = [numbers.clone(), numbers];
            }
            _ => {}
        }
        self.add_contexts(&mut open)?;
        self.add_rows(&mut open)?;
        match source.batch() {
            None => {
                self.close_group()?;
                self.pieces.push(Piece::Segment { source: number, rows: open.rows });
            }
            Some(batch) => {
                if !matches!(self.pieces.last(), Some(Piece::Batches(_))) {
                    self.pieces.push(Piece::Batches(Stage::default()));
                }
                if self.group.push(batch, std::mem::take(&mut open.columns[0])) {
                    self.close_group()?;
                }
            }
        }
        open.close();
        self.sources.push(open);
        Ok(())
    }

    /// Takes the columns of the group in.
    fn close_group(&mut self) -> Result<(), Error> {
        match self.pieces.last_mut() {
            Some(Piece::Batches(stage)) if !self.group.is_empty() => {
                stage.add(&mut self.group, &mut self.recode)
            }
            _ => Ok(()),
        }
    }

    /// Finds which contexts of a source are known.
    fn add_contexts(&mut self, open: &mut Open<'_>) -> Result<(), Error> {
        let mut values = vec![Vec::new(); open.contexts.len()];
        let mut columns: Vec<(u32, u32)> = open.columns[1].iter().copied().zip(0_u32..).collect();
        columns.retain(|(id, _)| {
            let column = self.union.columns.get(*id as usize);
            column.is_some_and(|column| column.level == Level::Context)
        });
        columns.sort_unstable();
        let taking = Taking { hash_key: self.hash_key, unlike: false };
        for column in columns {
            self.contexts.read(open, column, taking, &mut self.recode, &mut values)?;
        }
        let shapes = open.source.context_shapes()?;
        for (context, (values, shapes)) in values.into_iter().zip(shapes).enumerate() {
            let resource = self.shape(open, Level::Context, shapes.resource, None)?;
            let scope = self.shape(open, Level::Context, shapes.scope, None)?;
            open.contexts[context] = self.contexts.number(self.hash_key, (values, [resource, scope]));
        }
        self.likely.resize(self.contexts.all.len(), None);
        Ok(())
    }

    /// Adds the contexts and shapes of a source's rows.
    fn add_rows(&mut self, open: &mut Open<'_>) -> Result<(), Error> {
        let missing = || Error::damaged("a row's context or shape does not exist");
        let (contexts, shapes) = (open.field(RowField::Context)?, open.field(RowField::Shape)?);
        for (&context, &shape) in contexts.iter().zip(&*shapes) {
            let context = usize::try_from(context).ok().and_then(|old| open.contexts.get(old));
            let &context = context.ok_or_else(missing)?;
            let old = u32::try_from(shape).map_err(|_| missing())?;
            let merged = match open.shapes.get(old as usize) {
                Some(&UNUSED) => self.shape(open, Level::Row, old, self.likely[context as usize])?,
                Some(&known) => known,
                None => return Err(missing()),
            };
            self.likely[context as usize] = Some(merged);
            self.row_contexts.push(context);
            self.row_shapes.push(merged);
        }
        Ok(())
    }

    /// The merged number of a source's shape. `likely` is a shape that it may be.
    fn shape(
        &mut self,
        open: &mut Open<'_>,
        level: Level,
        old: u32,
        likely: Option<u32>,
    ) -> Result<u32, Error> {
        if open.shapes[old as usize] != UNUSED {
            return Ok(open.shapes[old as usize]);
        }
        let tokens = &mut self.tokens;
        let is_template = open.tokens(old, tokens)?;
        for token in tokens.iter_mut() {
            token.key = open.name(&mut self.names, token.key)?;
            if token.kind.targets_column() {
                let numbers = &open.columns[usize::from(level == Level::Context)];
                let target = numbers.get(token.target as usize).copied().filter(|&target| target != UNUSED);
                token.target =
                    target.ok_or_else(|| Error::damaged("a shape names a column without values"))?;
            } else if token.kind.targets_dictionary() {
                token.target = open.name(&mut self.names, token.target)?;
            }
        }
        let may_be = is_template || (open.names_all && level == Level::Row);
        let columns = &self.union.columns;
        let origin_of = |column: u32| columns.get(column as usize).map_or(Origin::Fixed, |c| c.key.origin);
        let merged = if may_be && let Some(known) = self.shapes.known(tokens, likely) {
            known
        } else if may_be && can_be_template(tokens, origin_of) {
            self.shapes.template(tokens)
        } else if is_template {
            return Err(Error::damaged("a template of shapes holds more than attributes"));
        } else {
            self.shapes.exact(tokens)
        };
        open.shapes[old as usize] = merged;
        Ok(merged)
    }

    /// Numbers columns as the footer does.
    pub(super) fn finish(mut self) -> Result<Taken<'a>, Error> {
        self.close_group()?;
        let (columns, ranks) = self.union.ranked();
        let (mut shapes, mut pieces, mut contexts) = (self.shapes, self.pieces, self.contexts.all);
        shapes.rank(&ranks);
        for piece in &mut pieces {
            if let Piece::Batches(stage) = piece {
                stage.rank(&ranks);
            }
        }
        for (values, _) in &mut contexts {
            values.iter_mut().for_each(|(id, _)| *id = ranks.get(*id as usize).copied().unwrap_or(0));
            values.sort_unstable();
        }
        Ok(Taken {
            sources: self.sources,
            columns,
            contexts,
            context_values: self.contexts.values,
            names: self.names,
            shapes,
            pieces,
            row_contexts: self.row_contexts,
            row_shapes: self.row_shapes,
        })
    }
}
