//! Gathers records by resource and scope, in the order in which each first appears.

use std::collections::HashMap;

use skein_otlp::Message as _;

use super::Context;

/// Records by context; equal contexts share a group.
#[derive(Debug)]
pub(super) struct Groups<'a, R> {
    contexts: &'a [Context],
    /// Place in `groups` of each context, once it has a record.
    places: Vec<Option<usize>>,
    by_identity: HashMap<Vec<u8>, usize>,
    groups: Vec<(usize, Vec<R>)>,
}

impl<'a, R> Groups<'a, R> {
    pub(super) fn new(contexts: &'a [Context]) -> Groups<'a, R> {
        Groups {
            contexts,
            places: vec![None; contexts.len()],
            by_identity: HashMap::new(),
            groups: Vec::new(),
        }
    }

    /// The records of a context.
    pub(super) fn records(&mut self, context: usize) -> &mut Vec<R> {
        let place = match self.places.get(context).copied().flatten() {
            Some(place) => place,
            None => self.place_of(context),
        };
        // The place is one that this type has given.
        &mut self.groups[place].1
    }

    fn place_of(&mut self, context: usize) -> usize {
        let identity = self.contexts.get(context).map(Context::identity).unwrap_or_default();
        let next = self.groups.len();
        let place = *self.by_identity.entry(identity).or_insert(next);
        if place == next {
            self.groups.push((context, Vec::new()));
        }
        if let Some(slot) = self.places.get_mut(context) {
            *slot = Some(place);
        }
        place
    }

    /// The groups by resource: lists of (context, records) whose resources are equal.
    pub(super) fn by_resource(self) -> Vec<Vec<(&'a Context, Vec<R>)>> {
        let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut resources: Vec<Vec<(&'a Context, Vec<R>)>> = Vec::new();
        for (context, records) in self.groups {
            let Some(context) = self.contexts.get(context) else { continue };
            let place = *places.entry(context.resource_identity()).or_insert(resources.len());
            if place == resources.len() {
                resources.push(Vec::new());
            }
            resources[place].push((context, records));
        }
        resources
    }
}

impl Context {
    /// Bytes that equal those of an equal resource, and no others.
    fn resource_identity(&self) -> Vec<u8> {
        let mut identity = vec![u8::from(self.resource.is_some())];
        identity.extend_from_slice(&(self.resource_schema_url.len() as u64).to_le_bytes());
        identity.extend_from_slice(self.resource_schema_url.as_bytes());
        identity.extend(self.resource.as_ref().map(|resource| resource.encode_to_vec()).unwrap_or_default());
        identity
    }

    /// Bytes that equal those of an equal context, and no others.
    fn identity(&self) -> Vec<u8> {
        let resource = self.resource_identity();
        let mut identity = (resource.len() as u64).to_le_bytes().to_vec();
        identity.extend(resource);
        identity.push(u8::from(self.scope.is_some()));
        identity.extend_from_slice(&(self.scope_schema_url.len() as u64).to_le_bytes());
        identity.extend_from_slice(self.scope_schema_url.as_bytes());
        identity.extend(self.scope.as_ref().map(|scope| scope.encode_to_vec()).unwrap_or_default());
        identity
    }
}
