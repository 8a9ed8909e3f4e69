//! JSON of `opentelemetry.proto.common.v1` and `resource.v1`.

use super::{Object, ToJson, write_base64, write_f64, write_list, write_number, write_quoted, write_string};
use crate::common::any_value::Value;
use crate::common::{AnyValue, EntityRef, InstrumentationScope, KeyValue};
use crate::resource::Resource;

impl ToJson for AnyValue {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        match &self.value {
            None => {}
            Some(Value::StringValue(text)) => write_string(text, object.key("stringValue")),
            Some(Value::BoolValue(value)) => {
                object.key("boolValue").push_str(if *value { "true" } else { "false" });
            }
            Some(Value::IntValue(value)) => write_quoted(value, object.key("intValue")),
            Some(Value::DoubleValue(value)) => write_f64(*value, object.key("doubleValue")),
            Some(Value::BytesValue(bytes)) => write_base64(bytes, object.key("bytesValue")),
            Some(Value::ArrayValue(array)) => {
                write_values(&array.values, object.key("arrayValue"));
            }
            Some(Value::KvlistValue(list)) => {
                write_values(&list.values, object.key("kvlistValue"));
            }
            Some(Value::StringValueStrindex(index)) => {
                write_number(i64::from(*index), object.key("stringValueStrindex"));
            }
        }
        object.close();
    }
}

/// The object of an array or kvlist; its list is written even when it is empty.
fn write_values<T: ToJson>(values: &[T], out: &mut String) {
    let mut object = Object::open(out);
    write_list(values, object.key("values"), T::write_json);
    object.close();
}

impl ToJson for KeyValue {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        write_string(&self.key, object.key("key"));
        object.optional("value", self.value.as_ref());
        object.narrow("keyStrindex", self.key_strindex);
        object.close();
    }
}

impl ToJson for InstrumentationScope {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.text("name", &self.name);
        object.text("version", &self.version);
        object.list("attributes", &self.attributes);
        object.narrow("droppedAttributesCount", self.dropped_attributes_count);
        object.close();
    }
}

impl ToJson for EntityRef {
    fn write_json(&self, out: &mut String) {
        let write_text = |text: &String, out: &mut String| write_string(text, out);
        let mut object = Object::open(out);
        object.text("schemaUrl", &self.schema_url);
        object.text("type", &self.r#type);
        object.list_with("idKeys", &self.id_keys, write_text);
        object.list_with("descriptionKeys", &self.description_keys, write_text);
        object.close();
    }
}

impl ToJson for Resource {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.list("attributes", &self.attributes);
        object.narrow("droppedAttributesCount", self.dropped_attributes_count);
        object.list("entityRefs", &self.entity_refs);
        object.close();
    }
}
