//! Contexts back to resources and scopes.

use skein_event::batch::Column;
use skein_event::columns::Fixed;
use skein_event::{EventBatch, Origin, Physical};
use skein_otlp::common::any_value::Value;
use skein_otlp::common::{AnyValue, EntityRef, InstrumentationScope, KeyValue};
use skein_otlp::resource::Resource;

use super::attributes::attributes;
use super::columns::{Cell, cell};
use super::value::any_value;
use crate::door::Signal;
use crate::record_flags::{RESOURCE_PRESENT, SCOPE_PRESENT};

/// A resource and a scope, as they came.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Context {
    pub(super) signal: Signal,
    pub(super) resource: Option<Resource>,
    pub(super) resource_schema_url: String,
    pub(super) scope: Option<InstrumentationScope>,
    pub(super) scope_schema_url: String,
}

/// The contexts of a batch.
pub(super) fn contexts(batch: &EventBatch) -> Vec<Context> {
    (0..batch.context_shapes.len()).map(|place| Reader { batch, place }.context()).collect()
}

struct Reader<'a> {
    batch: &'a EventBatch,
    place: usize,
}

impl Reader<'_> {
    fn context(&self) -> Context {
        let flags = self.integer(Fixed::ContextFlags);
        let resource = Resource {
            attributes: self.list(|shape| shape.resource),
            dropped_attributes_count: u32::try_from(self.integer(Fixed::ResourceDropped)).unwrap_or_default(),
            entity_refs: self.entity_refs(),
        };
        let scope = InstrumentationScope {
            name: self.text(Fixed::LibraryName),
            version: self.text(Fixed::LibraryVersion),
            attributes: self.list(|shape| shape.scope),
            dropped_attributes_count: u32::try_from(self.integer(Fixed::ScopeDropped)).unwrap_or_default(),
        };
        // Skein's own events say no flags: there, a message with content is present.
        let has_resource = flags & RESOURCE_PRESENT != 0 || resource != Resource::default();
        let has_scope = flags & SCOPE_PRESENT != 0 || scope != InstrumentationScope::default();
        let signal = self.text(Fixed::SignalType);
        Context {
            signal: Signal::ALL.into_iter().find(|s| s.as_str() == signal).unwrap_or(Signal::Traces),
            resource: has_resource.then_some(resource),
            resource_schema_url: self.text(Fixed::ResourceSchemaUrl),
            scope: has_scope.then_some(scope),
            scope_schema_url: self.text(Fixed::ScopeSchemaUrl),
        }
    }

    fn list(&self, shape: impl Fn(&skein_event::batch::ContextShape) -> u32) -> Vec<KeyValue> {
        let Some(shapes) = self.batch.context_shapes.get(self.place) else { return Vec::new() };
        let tokens = self.batch.shape_table.get(shape(shapes));
        let read =
            |column: u32| cell(self.batch, self.batch.context_columns.get(column as usize)?, self.place);
        attributes(self.batch, tokens, None, read).unwrap_or_default()
    }

    fn cell(&self, fixed: Fixed, physical: Physical) -> Option<Cell<'_>> {
        let is_it = |column: &&Column| {
            column.key.origin == Origin::Fixed
                && column.key.physical == physical
                && *column.key.name == *fixed.name()
        };
        cell(self.batch, self.batch.context_columns.iter().find(is_it)?, self.place)
    }

    fn integer(&self, fixed: Fixed) -> i64 {
        match self.cell(fixed, Physical::I64) {
            Some(Cell::I64(value)) => value,
            _ => 0,
        }
    }

    fn text(&self, fixed: Fixed) -> String {
        match self.cell(fixed, Physical::Text).or_else(|| self.cell(fixed, Physical::Bytes)) {
            Some(Cell::Text(text) | Cell::Bytes(text)) => String::from_utf8_lossy(text).into_owned(),
            _ => String::new(),
        }
    }

    fn entity_refs(&self) -> Vec<EntityRef> {
        let Some(Cell::Json(message)) = self.cell(Fixed::EntityRefs, Physical::Json) else {
            return Vec::new();
        };
        elements(any_value(message).ok()).into_iter().map(entity_ref).collect()
    }
}

fn entity_ref(value: AnyValue) -> EntityRef {
    let mut entity = EntityRef::default();
    let Some(Value::KvlistValue(fields)) = value.value else { return entity };
    for field in fields.values {
        match field.key.as_str() {
            "schema_url" => entity.schema_url = text(field.value),
            "type" => entity.r#type = text(field.value),
            "id_keys" => entity.id_keys = texts(field.value),
            "description_keys" => entity.description_keys = texts(field.value),
            _ => {}
        }
    }
    entity
}

fn elements(value: Option<AnyValue>) -> Vec<AnyValue> {
    match value.and_then(|value| value.value) {
        Some(Value::ArrayValue(array)) => array.values,
        _ => Vec::new(),
    }
}

fn texts(value: Option<AnyValue>) -> Vec<String> {
    elements(value).into_iter().map(|element| text(Some(element))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::BytesValue(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        _ => String::new(),
    }
}
