//! `opentelemetry.proto.common.v1`: attribute values, attributes, instrumentation scopes, entity references.

/// A value of any type an attribute or a log body can have.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AnyValue {
    /// `None` is the empty value, which is not an error.
    #[prost(oneof = "any_value::Value", tags = "1, 2, 3, 4, 5, 6, 7, 8")]
    pub value: Option<any_value::Value>,
}

/// The alternatives of [`AnyValue`].
pub mod any_value {
    /// One of the types a value can have.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Value {
        /// Text.
        #[prost(string, tag = "1")]
        StringValue(String),
        /// A boolean.
        #[prost(bool, tag = "2")]
        BoolValue(bool),
        /// A 64-bit integer.
        #[prost(int64, tag = "3")]
        IntValue(i64),
        /// A double.
        #[prost(double, tag = "4")]
        DoubleValue(f64),
        /// An array of values.
        #[prost(message, tag = "5")]
        ArrayValue(super::ArrayValue),
        /// A list of keys with values.
        #[prost(message, tag = "6")]
        KvlistValue(super::KeyValueList),
        /// Bytes.
        #[prost(bytes = "vec", tag = "7")]
        BytesValue(Vec<u8>),
        /// A place in the string table of a profile; it means nothing in other signals.
        #[prost(int32, tag = "8")]
        StringValueStrindex(i32),
    }
}

/// An array of values, which may have different types.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ArrayValue {
    /// The elements.
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<AnyValue>,
}

/// A list of keys with values.
#[derive(Clone, PartialEq, prost::Message)]
pub struct KeyValueList {
    /// The entries, in their order.
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<KeyValue>,
}

/// An attribute.
#[derive(Clone, PartialEq, prost::Message)]
pub struct KeyValue {
    /// Its key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Its value.
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
    /// A place in the string table of a profile; it means nothing in other signals.
    #[prost(int32, tag = "3")]
    pub key_strindex: i32,
}

/// The library that made a record.
#[derive(Clone, PartialEq, prost::Message)]
pub struct InstrumentationScope {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its version.
    #[prost(string, tag = "2")]
    pub version: String,
    /// Its attributes.
    #[prost(message, repeated, tag = "3")]
    pub attributes: Vec<KeyValue>,
    /// How many attributes the client dropped.
    #[prost(uint32, tag = "4")]
    pub dropped_attributes_count: u32,
}

/// Names an entity by keys of the resource's attributes.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EntityRef {
    /// The schema of the entity's description.
    #[prost(string, tag = "1")]
    pub schema_url: String,
    /// The type of the entity, such as `service`.
    #[prost(string, tag = "2")]
    pub r#type: String,
    /// Keys of the attributes that identify it.
    #[prost(string, repeated, tag = "3")]
    pub id_keys: Vec<String>,
    /// Keys of the attributes that describe it.
    #[prost(string, repeated, tag = "4")]
    pub description_keys: Vec<String>,
}

// === impl AnyValue ===

impl AnyValue {
    /// A value of one of the types.
    pub fn new(value: any_value::Value) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    /// An array.
    pub fn array(values: impl IntoIterator<Item = AnyValue>) -> AnyValue {
        AnyValue::new(any_value::Value::ArrayValue(ArrayValue { values: values.into_iter().collect() }))
    }

    /// A list of keys with values.
    pub fn kvlist(values: impl IntoIterator<Item = KeyValue>) -> AnyValue {
        AnyValue::new(any_value::Value::KvlistValue(KeyValueList { values: values.into_iter().collect() }))
    }
}

impl From<&str> for AnyValue {
    fn from(text: &str) -> AnyValue {
        AnyValue::from(text.to_owned())
    }
}

impl From<String> for AnyValue {
    fn from(text: String) -> AnyValue {
        AnyValue::new(any_value::Value::StringValue(text))
    }
}

impl From<bool> for AnyValue {
    fn from(value: bool) -> AnyValue {
        AnyValue::new(any_value::Value::BoolValue(value))
    }
}

impl From<i64> for AnyValue {
    fn from(value: i64) -> AnyValue {
        AnyValue::new(any_value::Value::IntValue(value))
    }
}

impl From<f64> for AnyValue {
    fn from(value: f64) -> AnyValue {
        AnyValue::new(any_value::Value::DoubleValue(value))
    }
}

impl From<Vec<u8>> for AnyValue {
    fn from(bytes: Vec<u8>) -> AnyValue {
        AnyValue::new(any_value::Value::BytesValue(bytes))
    }
}

// === impl KeyValue ===

impl KeyValue {
    /// An attribute with a value.
    pub fn new(key: impl Into<String>, value: impl Into<AnyValue>) -> KeyValue {
        KeyValue { key: key.into(), value: Some(value.into()), key_strindex: 0 }
    }
}
