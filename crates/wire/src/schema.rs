//! Types that describe themselves: one definition gives the Rust type, its JSON and its OpenAPI schema, so
//! that the three cannot disagree.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A type with a JSON schema (OpenAPI 3.1, which is JSON Schema 2020-12).
pub trait Schema {
    /// Whether a member of this type may be left out.
    const OPTIONAL: bool = false;

    /// The schema, or a reference to it.
    fn schema() -> Value;

    /// Adds the named schemas that [`Schema::schema`] refers to.
    fn define(_definitions: &mut Map<String, Value>) {}
}

macro_rules! primitive {
    ($($type:ty = $schema:tt;)+) => {
        $(impl Schema for $type {
            fn schema() -> Value {
                json!($schema)
            }
        })+
    };
}

primitive! {
    bool = {"type": "boolean"};
    u16 = {"type": "integer", "minimum": 0};
    u32 = {"type": "integer", "minimum": 0};
    u64 = {"type": "integer", "minimum": 0};
    i64 = {"type": "integer"};
    f64 = {"type": "number"};
    String = {"type": "string"};
    Value = {};
}

impl<T: Schema> Schema for Option<T> {
    const OPTIONAL: bool = true;

    fn schema() -> Value {
        T::schema()
    }

    fn define(definitions: &mut Map<String, Value>) {
        T::define(definitions);
    }
}

impl<T: Schema> Schema for Vec<T> {
    fn schema() -> Value {
        json!({"type": "array", "items": T::schema()})
    }

    fn define(definitions: &mut Map<String, Value>) {
        T::define(definitions);
    }
}

impl<T: Schema> Schema for BTreeMap<String, T> {
    fn schema() -> Value {
        json!({"type": "object", "additionalProperties": T::schema()})
    }

    fn define(definitions: &mut Map<String, Value>) {
        T::define(definitions);
    }
}

/// A JSON object of any members: an event, or an answer's data.
pub type Object = Map<String, Value>;

impl Schema for Object {
    fn schema() -> Value {
        json!({"type": "object", "additionalProperties": true})
    }
}

/// Defines a type of the public API: a struct with public members, each with its doc comment.
macro_rules! wire_type {
    ($(#[doc = $doc:literal])+ $name:ident {
        $($(#[doc = $member_doc:literal])+ $(#[serde($serde:meta)])? $member:ident: $type:ty,)+
    }) => {
        $(#[doc = $doc])+
        #[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
        pub struct $name {
            $($(#[doc = $member_doc])+ $(#[serde($serde)])? pub $member: $type,)+
        }

        impl $crate::schema::Schema for $name {
            fn schema() -> serde_json::Value {
                serde_json::json!({"$ref": concat!("#/components/schemas/", stringify!($name))})
            }

            fn define(definitions: &mut serde_json::Map<String, serde_json::Value>) {
                if definitions.contains_key(stringify!($name)) {
                    return;
                }
                let mut properties = serde_json::Map::new();
                let mut required: Vec<&str> = Vec::new();
                // Announced before its members, so that a type that contains itself ends.
                definitions.insert(stringify!($name).to_owned(), serde_json::Value::Null);
                $(
                    let mut member = <$type as $crate::schema::Schema>::schema();
                    if let Some(member) = member.as_object_mut() {
                        let text = [$($member_doc),+].concat();
                        member.insert("description".to_owned(), serde_json::json!((text.trim())));
                    }
                    // A member may be called like a keyword.
                    let name = stringify!($member).trim_start_matches("r#");
                    properties.insert(name.to_owned(), member);
                    if !<$type as $crate::schema::Schema>::OPTIONAL {
                        required.push(name);
                    }
                    <$type as $crate::schema::Schema>::define(definitions);
                )+
                definitions.insert(stringify!($name).to_owned(), serde_json::json!({
                    "type": "object",
                    "description": ([$($doc),+].concat().trim()),
                    "properties": properties,
                    "required": required,
                }));
            }
        }
    };
}

pub(crate) use wire_type;
