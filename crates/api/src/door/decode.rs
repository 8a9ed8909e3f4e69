//! The doors' decoder: ingest's pure functions behind [`Decoder`].

use skein_event::Environment;
use skein_event::hash::HashKey;
use skein_ingest::{DoorContext, batch_key, decode_json, decode_protobuf};

use super::{DecodeRequest, Decoded, Decoder, Encoding, Malformed, Told};

/// Decodes OTLP in both encodings.
#[derive(Clone, Copy, Debug)]
pub struct OtlpDecoder {
    /// The deployment's hash key.
    pub hash_key: HashKey,
}

impl Decoder for OtlpDecoder {
    fn decode(&self, request: &DecodeRequest<'_>) -> Result<Decoded, Malformed> {
        let DecodeRequest { environment, signal, encoding, body, batch_id, arrival_ns, unique } = *request;
        let context = DoorContext { hash_key: self.hash_key, arrival_ns };
        let decoded = match encoding {
            Encoding::Protobuf => decode_protobuf(signal, body, &context),
            Encoding::Json => decode_json(signal, body, &context),
        };
        let decoded =
            decoded.map_err(|error| Malformed { path: error.path.clone(), message: error.to_string() })?;
        let key = self.key(environment, request, &decoded, batch_id, unique)?;
        let warning = |warning: &skein_ingest::Warning| {
            let (message, count, path) = (warning.code.message(), warning.count, &warning.path);
            let message = format!("{message} ({count} times, first at {path})");
            Told { code: warning.code.as_str(), count, message }
        };
        Ok(Decoded {
            warnings: decoded.warnings.iter().map(warning).collect(),
            batch: decoded.batch,
            key,
            records: decoded.records,
            rejected: decoded.rejected.counts,
            rejections: decoded.rejected.kept,
        })
    }
}

impl OtlpDecoder {
    fn key(
        &self,
        environment: &Environment,
        request: &DecodeRequest<'_>,
        decoded: &skein_ingest::Decoded,
        batch_id: Option<&str>,
        unique: u128,
    ) -> Result<skein_event::flow::BatchKey, Malformed> {
        let (signal, body) = (request.signal, request.body);
        batch_key(environment, signal, body, batch_id, decoded, self.hash_key, unique)
            .map_err(|error| Malformed { path: "Skein-Batch-Id".to_owned(), message: error.to_string() })
    }
}
