//! The contexts of a merged segment: equal ones of different sources become one.

use skein_event::batch::{Column, ColumnKey, Presence, Values};
use skein_event::columns::Level;

use super::super::bytes::count;
use super::super::collect::present_rows;
use super::super::source::{Taking, UNUSED};
use super::Merger;
use crate::error::Error;

/// All there is to a context: column and value bits of each of its values, then the shapes of resource and
/// scope.
pub(super) type ContextSignature = (Vec<(u32, u64)>, [u32; 2]);

impl Merger<'_> {
    /// Finds equal contexts of different sources and encodes each once.
    pub(super) fn merge_contexts(&mut self) -> Result<(), Error> {
        for source in 0..self.sources.len() {
            let mut values = vec![Vec::new(); self.sources[source].contexts.len()];
            for (id, number) in self.context_columns(source) {
                self.read_context_column(source, (id, number), &mut values)?;
            }
            let shapes = self.sources[source].source.context_shapes()?;
            for (context, (values, shapes)) in values.into_iter().zip(shapes).enumerate() {
                let resource = self.shape(source, Level::Context, shapes.resource, None)?;
                let scope = self.shape(source, Level::Context, shapes.scope, None)?;
                let signature = (values, [resource, scope]);
                let next = count(self.contexts.len());
                let merged = match self.context_index.get(&signature) {
                    Some(&known) => known,
                    None => {
                        self.context_index.insert(signature.clone(), next);
                        self.contexts.push(signature);
                        next
                    }
                };
                self.sources[source].contexts[context] = merged;
            }
        }
        Ok(())
    }

    /// Merged number and number there of a source's columns of contexts, in the order of the merged.
    fn context_columns(&self, source: usize) -> Vec<(u32, u32)> {
        let numbers = &self.sources[source].columns[1];
        let numbered = numbers.iter().zip(0_u32..).filter(|(id, _)| **id != UNUSED);
        let of_contexts = numbered.filter(|(id, _)| self.columns[**id as usize].level == Level::Context);
        let mut found: Vec<(u32, u32)> = of_contexts.map(|(&id, number)| (id, number)).collect();
        found.sort_unstable();
        found
    }

    /// Adds a column's values to those of each context.
    fn read_context_column(
        &mut self,
        source: usize,
        (id, number): (u32, u32),
        values: &mut [Vec<(u32, u64)>],
    ) -> Result<(), Error> {
        let open = &self.sources[source];
        let contexts = values.len();
        if Values::fits(&Values::Code(Vec::new()), self.columns[id as usize].key.physical) {
            let (mut codes, pool) = (Vec::new(), &mut self.context_values);
            let mut add = |presence: &Presence, codes: &[u32]| {
                for (context, &code) in present_rows(presence, contexts).zip(codes) {
                    values[context as usize].push((id, u64::from(code)));
                }
            };
            if let Some(batch) = open.source.batch() {
                let column = open.column(number)?;
                let Values::Code(old) = &column.values else {
                    return Err(Error::damaged("a column's values are of another type"));
                };
                self.recode.take(old, &batch.dictionary, pool, &mut codes)?;
                add(&column.presence, &codes);
            } else {
                let taking = Taking { hash_key: self.settings.hash_key, unlike: false };
                let presence = open.take_codes(number, taking, pool, &mut codes)?;
                add(&presence, &codes);
            }
            return Ok(());
        }
        let column = open.column(number)?;
        for (place, context) in present_rows(&column.presence, contexts).enumerate() {
            let bits = match &column.values {
                Values::Bool(values) => u64::from(values[place]),
                Values::I64(values) => values[place].cast_unsigned(),
                Values::F64(values) => values[place].to_bits(),
                Values::Code(_) | Values::Id16(_) | Values::Id8(_) => {
                    return Err(Error::damaged("a context has no ids"));
                }
            };
            values[context as usize].push((id, bits));
        }
        Ok(())
    }

    /// A column of the merged contexts; codes are those of the pool of the column at hand.
    pub(super) fn collect_contexts(&mut self, id: usize, key: ColumnKey) -> Result<Column, Error> {
        let mut values = Values::empty(key.physical);
        let mut present = Vec::new();
        for (context, (pairs, _)) in (0_u32..).zip(&self.contexts) {
            let Ok(place) = pairs.binary_search_by_key(&count(id), |pair| pair.0) else { continue };
            let bits = pairs[place].1;
            present.push(context);
            match &mut values {
                Values::Bool(values) => values.push(bits != 0),
                Values::I64(values) => values.push(bits.cast_signed()),
                Values::F64(values) => values.push(f64::from_bits(bits)),
                Values::Code(codes) => {
                    let code = u32::try_from(bits).unwrap_or(0);
                    let (value, hash) =
                        (self.context_values.get(code), self.context_values.hashes()[code as usize]);
                    codes.push(self.pool.code(value, hash)?);
                }
                Values::Id16(_) | Values::Id8(_) => {}
            }
        }
        let all = present.len() == self.contexts.len();
        Ok(Column { key, presence: if all { Presence::All } else { Presence::Rows(present) }, values })
    }
}
