//! Bytes to columns on one core: the protobuf door alone and with the split into eight partitions, the JSON door
//! on the same spans, and the protobuf door on wide events.

use std::hint::black_box;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use skein_event::ids::Environment;
use skein_event::limits::PARTITIONS_LOCAL;
use skein_event::split::split;
use skein_ingest::{Decoded, DoorContext, DoorError, Signal, decode_json, decode_protobuf};
use skein_otlp::Message as _;
use skein_otlp::collector::trace::ExportTraceServiceRequest;
use skein_otlp::json::ToJson as _;

use crate::clock;
use crate::data::{Data, KEY, narrow_templates};
use crate::report::{self, Figure, precise};

/// Processor time that each figure is measured over.
const MEASURED: Duration = Duration::from_secs(4);

/// Requests of wide events, and requests in JSON: enough that no cache holds them.
const REQUESTS: usize = 60;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    data: Data,
}

impl Arguments {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        report::show(&measure(&self.data)?);
        Ok(())
    }
}

/// Requests of one signal, and how many events they hold.
struct Bodies {
    bodies: Vec<Vec<u8>>,
    events: usize,
}

impl Bodies {
    fn bytes_per_event(&self) -> f64 {
        precise(self.bodies.iter().map(Vec::len).sum::<usize>()) / precise(self.events)
    }
}

type Decode = fn(Signal, &[u8], &DoorContext) -> Result<Decoded, DoorError>;

/// Measures all doors.
pub(crate) fn measure(data: &Data) -> anyhow::Result<Vec<Figure>> {
    let templates = narrow_templates()?;
    let narrow = Bodies {
        events: templates.iter().map(|template| template.spans).sum(),
        bodies: templates.iter().map(|template| template.body().to_vec()).collect(),
    };
    let json = Bodies {
        events: templates.iter().take(REQUESTS).map(|template| template.spans).sum(),
        bodies: narrow
            .bodies
            .iter()
            .take(REQUESTS)
            .map(|body| json_of(body))
            .collect::<anyhow::Result<_>>()?,
    };
    let generator = data.wide().generator();
    let requests = (0..generator.requests().min(REQUESTS)).map(|index| generator.request(index));
    let mut wide = Bodies { bodies: Vec::new(), events: 0 };
    for request in requests {
        wide.events += request.spans + request.span_events;
        wide.bodies.push(request.traces);
    }
    let size = Figure::new("span_bytes", "bytes/span", narrow.bytes_per_event());
    let door = speed(&narrow, decode_protobuf, false)?;
    let with_split = speed(&narrow, decode_protobuf, true)?;
    let of_json = speed(&json, decode_json, false)?;
    let of_wide = speed(&wide, decode_protobuf, false)?;
    let of_wide_with_split = speed(&wide, decode_protobuf, true)?;
    Ok(vec![
        size,
        Figure::new("door_protobuf_to_columns", "spans/s per core", door).at_least(500_000.0),
        Figure::new("door_protobuf_to_columns_split_8", "spans/s per core", with_split),
        Figure::new("door_protobuf_requests", "requests of 1,000 spans/s per core", door / 1e3),
        Figure::new("door_json_requests", "requests of 1,000 spans/s per core", of_json / 1e3),
        Figure::new("door_json_to_columns", "spans/s per core", of_json),
        Figure::new("door_json_bytes", "bytes/span", json.bytes_per_event()),
        Figure::new("door_json_of_protobuf", "share of its speed", of_json / door),
        Figure::new("door_wide_to_columns", "events/s per core", of_wide),
        Figure::new("door_wide_to_columns_split_8", "events/s per core", of_wide_with_split),
        Figure::new("door_wide_bytes", "bytes/event", wide.bytes_per_event()),
    ])
}

fn json_of(body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let request = ExportTraceServiceRequest::decode(body).context("a generated request")?;
    Ok(request.to_json().into_bytes())
}

/// Events per second of processor time.
fn speed(bodies: &Bodies, decode: Decode, splitting: bool) -> anyhow::Result<f64> {
    let environment = Environment::default_environment();
    let context = DoorContext { hash_key: KEY, arrival_ns: clock::epoch_ns() };
    let (mut events, mut begin) = (0, Duration::ZERO);
    // The first round warms up and is not counted.
    for round in 0_u128.. {
        for body in &bodies.bodies {
            let decoded = decode(Signal::Traces, body, &context).context("a generated request")?;
            if splitting {
                black_box(split(decoded.batch, &environment, round, PARTITIONS_LOCAL, KEY));
            } else {
                black_box(decoded);
            }
        }
        events += bodies.events;
        if round == 0 {
            (events, begin) = (0, clock::thread_cpu());
        } else if clock::thread_cpu() - begin > MEASURED {
            break;
        }
    }
    Ok(precise(events) / (clock::thread_cpu() - begin).as_secs_f64())
}
