//! Walks a JSON specification, knowing at every step where it stands, so that an error can say so.

use serde_json::{Map, Value};

use crate::error::QueryError;
use crate::expression::Fields;
use crate::suggest;
pub(crate) use crate::text::shortened;

/// A value of the specification and its JSON pointer.
#[derive(Clone, Debug)]
pub(crate) struct Node<'a> {
    pub(crate) value: &'a Value,
    pub(crate) path: String,
    /// The calculated fields of the specification, whose names stand for columns.
    pub(crate) fields: &'a Fields,
}

impl<'a> Node<'a> {
    pub(crate) fn root(value: &'a Value) -> Node<'a> {
        static NONE: Fields = Fields::NONE;
        Node { value, path: String::new(), fields: &NONE }
    }

    pub(crate) fn with_fields(self, fields: &'a Fields) -> Node<'a> {
        Node { fields, ..self }
    }

    /// An error that stands here.
    pub(crate) fn error(&self, message: impl Into<String>) -> QueryError {
        QueryError::invalid(message).at_path(self.path.clone())
    }

    /// The value as an object that has no other fields than these.
    pub(crate) fn object(&self, known: &[&str]) -> Result<Object<'a>, QueryError> {
        let Value::Object(map) = self.value else {
            return Err(self.error(format!("expected an object, found {}", kind(self.value))));
        };
        for name in map.keys() {
            if !known.contains(&name.as_str()) {
                let error = QueryError::invalid(format!("unknown field `{}`", shortened(name)));
                let candidates = suggest::candidates(name, known.iter().copied());
                let hint = format!("the fields here are {}", known.join(", "));
                return Err(error.at_path(self.child_path(name)).candidates(candidates).hint(hint));
            }
        }
        Ok(Object { map, path: self.path.clone(), fields: self.fields })
    }

    /// The value as an array of at most `max` elements.
    pub(crate) fn array(&self, max: usize) -> Result<Vec<Node<'a>>, QueryError> {
        let Value::Array(elements) = self.value else {
            return Err(self.error(format!("expected an array, found {}", kind(self.value))));
        };
        if elements.len() > max {
            return Err(self.error(format!("{} elements, at most {max} are allowed", elements.len())));
        }
        let node =
            |(index, value)| Node { value, path: format!("{}/{index}", self.path), fields: self.fields };
        Ok(elements.iter().enumerate().map(node).collect())
    }

    /// The value as text that is not empty.
    pub(crate) fn text(&self) -> Result<&'a str, QueryError> {
        match self.value {
            Value::String(text) if text.is_empty() => Err(self.error("expected a text that is not empty")),
            Value::String(text) => Ok(text),
            other => Err(self.error(format!("expected a text, found {}", kind(other)))),
        }
    }

    /// The value as a boolean.
    pub(crate) fn boolean(&self) -> Result<bool, QueryError> {
        self.value
            .as_bool()
            .ok_or_else(|| self.error(format!("expected true or false, found {}", kind(self.value))))
    }

    /// The value as a finite number.
    pub(crate) fn number(&self) -> Result<f64, QueryError> {
        let number = self.value.as_f64().filter(|number| number.is_finite());
        number.ok_or_else(|| self.error(format!("expected a number, found {}", kind(self.value))))
    }

    /// One of some words, compared without regard to case.
    pub(crate) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, QueryError> {
        let text = self.text()?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)) {
            return Ok(*meaning);
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let error = self.error(format!("`{}` is none of the words allowed here", shortened(text)));
        let candidates = suggest::candidates(text, names.iter().copied());
        Err(error.candidates(candidates).hint(format!("one of {}", names.join(", "))))
    }

    fn child_path(&self, name: &str) -> String {
        format!("{}/{}", self.path, escape(name))
    }
}

/// An object whose fields are all known.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    map: &'a Map<String, Value>,
    path: String,
    fields: &'a Fields,
}

impl<'a> Object<'a> {
    /// A field that is present and not null.
    pub(crate) fn get(&self, name: &str) -> Option<Node<'a>> {
        let value = self.map.get(name).filter(|value| !value.is_null())?;
        Some(Node { value, path: format!("{}/{}", self.path, escape(name)), fields: self.fields })
    }

    /// A field that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<Node<'a>, QueryError> {
        self.get(name).ok_or_else(|| {
            QueryError::invalid(format!("the field `{name}` is missing")).at_path(self.path.clone())
        })
    }

    /// The field, null included: some fields tell null from absence.
    pub(crate) fn has_null(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(Value::is_null)
    }

    pub(crate) fn error(&self, message: impl Into<String>) -> QueryError {
        QueryError::invalid(message).at_path(self.path.clone())
    }
}

/// What sort of JSON a value is, for messages.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Escapes a name for a JSON pointer (RFC 6901 §3).
fn escape(name: &str) -> String {
    shortened(name).replace('~', "~0").replace('/', "~1")
}
