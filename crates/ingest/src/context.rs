//! Contexts: a resource with a scope, stored once however many records and groups of the request share them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use skein_event::batch::{ColumnKey, ContextShape, Origin, Physical};
use skein_event::builder::ContextValue;
use skein_event::columns::Fixed;
use skein_event::hash::HashKey;
use skein_event::limits::CONTEXT_BYTES_MAX;
use skein_event::rejection::ReasonCode;

use crate::any_value::{array, kvlist, push_element, push_entry, text};
use crate::attribute::{Attribute, Inspection, Problem, Value, read_attribute};
use crate::context_list::ContextList;
use crate::door::Signal;
use crate::record_flags::{RESOURCE_PRESENT, SCOPE_PRESENT};
use crate::rows::{ContextRest, Rows};
use crate::sampling_rate;
use crate::wire::{Field, Malformed, Reader, as_u32, is_utf8};

/// The messages that make a context.
#[derive(Debug, Default)]
pub(crate) struct ContextMessages<'a> {
    pub(crate) resource: Option<Cow<'a, [u8]>>,
    pub(crate) resource_schema_url: &'a [u8],
    pub(crate) scope: Option<Cow<'a, [u8]>>,
    pub(crate) scope_schema_url: &'a [u8],
    /// Digest of the resource, once for all its scopes.
    pub(crate) resource_digest: Option<u128>,
}

/// A context in the batch.
#[derive(Debug, Default)]
pub(crate) struct Context {
    pub(crate) id: u32,
    /// Sample rate that its attributes say.
    pub(crate) rate: Option<f64>,
    pub(crate) rest: ContextRest,
    /// Why none of its records can be stored.
    pub(crate) problem: Option<Box<Problem>>,
}

/// The contexts of a request.
#[derive(Debug)]
pub(crate) struct Contexts {
    signal: Signal,
    hash_key: HashKey,
    by_digest: HashMap<u128, usize>,
    contexts: Vec<Context>,
    /// Bytes of resources and scopes that may still become contexts.
    bytes_left: usize,
}

impl Contexts {
    pub(crate) fn new(signal: Signal, hash_key: HashKey) -> Contexts {
        Contexts {
            signal,
            hash_key,
            by_digest: HashMap::new(),
            contexts: Vec::new(),
            bytes_left: CONTEXT_BYTES_MAX,
        }
    }

    pub(crate) fn get(&self, index: usize) -> &Context {
        static NONE: Context = Context {
            id: 0,
            rate: None,
            rest: ContextRest { invalid_text: false, overflow: Vec::new(), overflow_code: None },
            problem: None,
        };
        self.contexts.get(index).unwrap_or(&NONE)
    }

    /// The context of these messages, added when no equal one was there before.
    pub(crate) fn index(
        &mut self,
        rows: &mut Rows,
        messages: &mut ContextMessages<'_>,
    ) -> Result<usize, Malformed> {
        let digest = self.digest(messages);
        if let Some(&index) = self.by_digest.get(&digest) {
            return Ok(index);
        }
        let size = |message: &Option<Cow<'_, [u8]>>| message.as_deref().unwrap_or_default().len();
        let bytes = size(&messages.resource) + size(&messages.scope);
        let context = match self.bytes_left.checked_sub(bytes) {
            Some(left) => {
                self.bytes_left = left;
                build(rows, self.signal, messages)?
            }
            None => too_large(),
        };
        let index = self.contexts.len();
        self.contexts.push(context);
        self.by_digest.insert(digest, index);
        Ok(index)
    }

    fn digest(&self, messages: &mut ContextMessages<'_>) -> u128 {
        let resource = messages.resource.as_deref().unwrap_or_default();
        let resource_digest = *messages.resource_digest.get_or_insert_with(|| self.hash_key.digest(resource));
        let mut digests = [0_u8; 66];
        let parts = [
            resource_digest,
            self.hash_key.digest(messages.resource_schema_url),
            self.hash_key.digest(messages.scope.as_deref().unwrap_or_default()),
            self.hash_key.digest(messages.scope_schema_url),
        ];
        for (digest, part) in digests.chunks_exact_mut(16).zip(parts) {
            digest.copy_from_slice(&part.to_le_bytes());
        }
        digests[64] = u8::from(messages.resource.is_some());
        digests[65] = u8::from(messages.scope.is_some());
        self.hash_key.digest(&digests)
    }
}

/// A context that would make the request's resources, repeated for each of their scopes, too large.
fn too_large() -> Context {
    let problem = Problem {
        reason: ReasonCode::TooLarge,
        path: "resource".to_owned(),
        message: format!("resources, once for each of their scopes, exceed {CONTEXT_BYTES_MAX} bytes"),
    };
    Context { problem: Some(Box::new(problem)), ..Context::default() }
}

/// The fields of a `Resource` or `InstrumentationScope` message.
#[derive(Default)]
struct Entity<'a> {
    attributes: Vec<Attribute<'a>>,
    dropped: u32,
    name: &'a [u8],
    version: &'a [u8],
    /// `Resource.entity_refs` as an `ArrayValue` of kvlists.
    entity_refs: Vec<u8>,
}

fn build(rows: &mut Rows, signal: Signal, messages: &ContextMessages<'_>) -> Result<Context, Malformed> {
    let mut inspection = Inspection::new();
    let resource_bytes = messages.resource.as_deref().unwrap_or_default();
    let scope_bytes = messages.scope.as_deref().unwrap_or_default();
    let resource = inspection
        .inside(|| "resource".to_owned(), |inspection| read_resource(resource_bytes, inspection))?;
    let scope = inspection.inside(|| "scope".to_owned(), |inspection| read_scope(scope_bytes, inspection))?;
    inspection.check_size("schemaUrl", messages.resource_schema_url);
    inspection.check_size("schemaUrl", messages.scope_schema_url);
    if inspection.problem.is_some() {
        return Ok(Context { problem: inspection.problem, ..Context::default() });
    }
    let id = rows.builder.begin_context();
    let mut list = ContextList::new(&mut rows.builder, id, resource_bytes.len() + scope_bytes.len());
    let shape = ContextShape {
        resource: list.write(Origin::Resource, &resource.attributes),
        scope: list.write(Origin::Scope, &scope.attributes),
    };
    list.fixed_text(Fixed::SignalType, signal.as_str().as_bytes());
    list.fixed_text(Fixed::Dataset, dataset(signal, &resource.attributes));
    list.fixed_text(Fixed::LibraryName, scope.name);
    list.fixed_text(Fixed::LibraryVersion, scope.version);
    list.fixed_text(Fixed::ResourceSchemaUrl, messages.resource_schema_url);
    list.fixed_text(Fixed::ScopeSchemaUrl, messages.scope_schema_url);
    list.fixed_nonzero(Fixed::ResourceDropped, i64::from(resource.dropped));
    list.fixed_nonzero(Fixed::ScopeDropped, i64::from(scope.dropped));
    let mut flags = 0;
    if messages.resource.is_some() {
        flags |= RESOURCE_PRESENT;
    }
    if messages.scope.is_some() {
        flags |= SCOPE_PRESENT;
    }
    list.fixed_nonzero(Fixed::ContextFlags, flags);
    let mut rest = list.finish();
    if !resource.entity_refs.is_empty() {
        let refs = array(&resource.entity_refs);
        rows.builder.context_value(ColumnKey::fixed(Fixed::EntityRefs), id, ContextValue::Bytes(&refs));
    }
    rows.builder.set_context_shape(id, shape);
    if !rest.overflow.is_empty() {
        rest.overflow_code = Some(rows.builder.intern(&kvlist(&rest.overflow)));
    }
    let nearest_first = scope.attributes.iter().chain(&resource.attributes);
    let rate = sampling_rate::from_attributes(nearest_first.map(|a| (a.key, a.value)));
    Ok(Context { id, rate, rest, problem: None })
}

/// The dataset of a resource: the trimmed service name. Names that SDKs make up when nobody gave one
/// (`unknown_service:java`) are one dataset.
fn dataset<'a>(signal: Signal, attributes: &[Attribute<'a>]) -> &'a [u8] {
    let unknown: &[u8] = if signal == Signal::Logs { b"unknown_log_source" } else { b"unknown_service" };
    match attributes.iter().find(|attribute| attribute.key == b"service.name") {
        Some(Attribute { value: Value::Text(name), .. }) if is_utf8(name) => {
            let name = std::str::from_utf8(name).unwrap_or_default().trim().as_bytes();
            if name.is_empty() || name.starts_with(b"unknown_service") { unknown } else { name }
        }
        _ => unknown,
    }
}

fn read_resource<'a>(message: &'a [u8], inspection: &mut Inspection) -> Result<Entity<'a>, Malformed> {
    let mut entity = Entity::default();
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match field {
            (1, Field::Bytes(entry)) => read_attribute(entry, &mut entity.attributes, inspection)?,
            (2, Field::Varint(count)) => entity.dropped = as_u32(count),
            (3, Field::Bytes(reference)) => {
                let value = read_entity_ref(reference).map_err(|m| m.within("entityRefs"))?;
                push_element(&mut entity.entity_refs, &value);
            }
            (number, _) => reader.pass_unknown(number, 1..=3)?,
        }
    }
    inspection.check_size("entityRefs", &entity.entity_refs);
    Ok(entity)
}

fn read_scope<'a>(message: &'a [u8], inspection: &mut Inspection) -> Result<Entity<'a>, Malformed> {
    let mut entity = Entity::default();
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match field {
            (1, Field::Bytes(name)) => entity.name = name,
            (2, Field::Bytes(version)) => entity.version = version,
            (3, Field::Bytes(entry)) => read_attribute(entry, &mut entity.attributes, inspection)?,
            (4, Field::Varint(count)) => entity.dropped = as_u32(count),
            (number, _) => reader.pass_unknown(number, 1..=4)?,
        }
    }
    inspection.check_size("name", entity.name);
    inspection.check_size("version", entity.version);
    Ok(entity)
}

/// An `EntityRef` message as the `AnyValue` of a kvlist with its field names; empty fields are left out.
fn read_entity_ref(message: &[u8]) -> Result<Vec<u8>, Malformed> {
    let (mut schema_url, mut kind): (&[u8], &[u8]) = (&[], &[]);
    let (mut id_keys, mut description_keys) = (Vec::new(), Vec::new());
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match field {
            (1, Field::Bytes(bytes)) => schema_url = bytes,
            (2, Field::Bytes(bytes)) => kind = bytes,
            (3, Field::Bytes(key)) => push_element(&mut id_keys, &text(key)),
            (4, Field::Bytes(key)) => push_element(&mut description_keys, &text(key)),
            (number, _) => reader.pass_unknown(number, 1..=4)?,
        }
    }
    let mut entries = Vec::new();
    for (key, value) in [("schema_url", schema_url), ("type", kind)] {
        if !value.is_empty() {
            push_entry(&mut entries, key.as_bytes(), &text(value));
        }
    }
    for (key, elements) in [("id_keys", id_keys), ("description_keys", description_keys)] {
        if !elements.is_empty() {
            push_entry(&mut entries, key.as_bytes(), &array(&elements));
        }
    }
    Ok(kvlist(&entries))
}

/// The key of a context's column.
pub(crate) fn context_key(origin: Origin, physical: Physical, name: &str) -> ColumnKey {
    ColumnKey { origin, physical, name: Arc::from(name) }
}
