//! The contexts of a merged segment: equal ones of different sources become one.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use skein_event::batch::{Column, ColumnKey, Presence, Values};
use skein_event::hash::HashKey;

use super::super::bytes::count;
use super::super::collect::present_rows;
use super::super::pool::Pool;
use super::super::source::{Open, Taking, UNUSED};
use super::super::union::Given;
use super::Merger;
use super::stage::Recode;
use crate::error::Error;

/// All there is to a context: column and value bits of each of its values, then the shapes of resource and
/// scope.
pub(super) type ContextSignature = (Vec<(u32, u64)>, [u32; 2]);

/// The contexts found so far.
#[derive(Default)]
pub(super) struct Contexts {
    pub(super) all: Vec<ContextSignature>,
    /// The last context whose signature has a keyed hash, and of each context the one before that has the same.
    index: HashMap<u64, u32, BuildHasherDefault<Given>>,
    alike: Vec<u32>,
    /// The signature at hand as bytes.
    bytes: Vec<u8>,
    /// Values of all their columns.
    pub(super) values: Pool,
}

impl Contexts {
    /// The number of a context.
    pub(super) fn number(&mut self, hash_key: HashKey, signature: ContextSignature) -> u32 {
        self.bytes.clear();
        signature.1.iter().for_each(|shape| self.bytes.extend_from_slice(&shape.to_le_bytes()));
        for (column, bits) in &signature.0 {
            self.bytes.extend_from_slice(&column.to_le_bytes());
            self.bytes.extend_from_slice(&bits.to_le_bytes());
        }
        let hash = hash_key.hash(&self.bytes);
        let last = self.index.get(&hash).copied().unwrap_or(UNUSED);
        let mut number = last;
        while let Some(known) = self.all.get(number as usize) {
            if *known == signature {
                return number;
            }
            number = self.alike[number as usize];
        }
        let number = count(self.all.len());
        self.index.insert(hash, number);
        self.alike.push(last);
        self.all.push(signature);
        number
    }

    /// Adds the values of a source's column to those of each of its contexts; `id` is its merged number.
    pub(super) fn read(
        &mut self,
        open: &Open<'_>,
        (id, number): (u32, u32),
        taking: Taking,
        recode: &mut Recode,
        values: &mut [Vec<(u32, u64)>],
    ) -> Result<(), Error> {
        let contexts = values.len();
        let column = open.column(number)?;
        if let Values::Code(old) = &column.values {
            let (mut codes, pool) = (Vec::with_capacity(old.len()), &mut self.values);
            match open.source.batch() {
                Some(batch) => recode.take(old, &batch.dictionary, pool, &mut codes)?,
                None => drop(open.take_codes(number, taking, pool, &mut codes)?),
            }
            for (context, &code) in present_rows(&column.presence, contexts).zip(&codes) {
                values[context as usize].push((id, u64::from(code)));
            }
            return Ok(());
        }
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
}

impl Merger<'_> {
    /// A column of the merged contexts; codes are those of the pool of the column at hand.
    pub(super) fn collect_contexts(&mut self, id: usize, key: ColumnKey) -> Result<Column, Error> {
        let mut values = Values::with_capacity(key.physical, 0);
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
