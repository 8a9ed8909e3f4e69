//! Bytes to columns on one core: the protobuf door alone, and with the split into eight partitions.

use std::hint::black_box;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use skein_event::hash::HashKey;
use skein_event::ids::Environment;
use skein_event::limits::PARTITIONS_LOCAL;
use skein_event::split::split;
use skein_ingest::{DoorContext, Signal, decode_protobuf};

use crate::clock;
use crate::data::Data;
use crate::report::{self, Figure};
use crate::template::Template;

/// Processor time that each figure is measured over.
const MEASURED: Duration = Duration::from_secs(5);

const KEY: HashKey = HashKey(0x5ce1_0000_0000_0001);

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    data: Data,
}

impl Arguments {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        report::show(&measure_all(&self.data.templates()?)?);
        Ok(())
    }
}

/// Measures both figures.
pub(crate) fn measure_all(templates: &[Template]) -> anyhow::Result<Vec<Figure>> {
    let spans: usize = templates.iter().map(|template| template.spans).sum();
    let bytes: usize = templates.iter().map(|template| template.body().len()).sum();
    let size = Figure::new("span_bytes", "bytes/span", ratio(bytes, spans));
    let door = measure(templates, false)?;
    let with_split = measure(templates, true)?;
    Ok(vec![
        size,
        Figure::new("door_protobuf_to_columns", "spans/s per core", door),
        Figure::new("door_protobuf_to_columns_split_8", "spans/s per core", with_split),
    ])
}

fn measure(templates: &[Template], splitting: bool) -> anyhow::Result<f64> {
    let environment = Environment::default_environment();
    let context = DoorContext { hash_key: KEY, arrival_ns: clock::epoch_ns() };
    let mut spans = 0_usize;
    let mut begin = Duration::ZERO;
    // The first round warms up and is not counted.
    for round in 0_u128.. {
        for template in templates {
            let decoded =
                decode_protobuf(Signal::Traces, template.body(), &context).context("a generated request")?;
            if splitting {
                black_box(split(decoded.batch, &environment, round, PARTITIONS_LOCAL, KEY));
            } else {
                black_box(decoded);
            }
            spans += template.spans;
        }
        if round == 0 {
            (spans, begin) = (0, clock::thread_cpu());
        } else if clock::thread_cpu() - begin > MEASURED {
            break;
        }
    }
    let seconds = (clock::thread_cpu() - begin).as_secs_f64();
    Ok(f64::from(u32::try_from(spans)?) / seconds)
}

fn ratio(a: usize, b: usize) -> f64 {
    f64::from(u32::try_from(a).unwrap_or(u32::MAX)) / f64::from(u32::try_from(b.max(1)).unwrap_or(u32::MAX))
}
