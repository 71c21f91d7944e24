//! Flows to columns: texts by a dictionary that lasts for a row group, so that an address is written out once.

use std::sync::Arc;

use arrow_array::builder::{Float64Builder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_array::{ArrayRef, DictionaryArray, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use hashbrown::HashMap;
use model::tables::FlowRow;
use model::tag::{Place, TagNames};
use model::{Address, Direction, Flow, FlowBatch, Name, TagId, View};

use crate::columns;

/// Flows whose columns are made one after the other: they stay in the cache meanwhile.
const CHUNK: usize = 2_048;

/// The schema of the batches: that of the table, with texts by dictionary.
pub(crate) fn schema() -> SchemaRef {
    let table = columns::schema::<FlowRow>();
    let by_dictionary = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8 => field.as_ref().clone().with_data_type(dictionary_type()),
        _ => field.as_ref().clone(),
    };
    let fields: Vec<Field> = table.fields().iter().map(by_dictionary).collect();
    Arc::new(Schema::new_with_metadata(fields, table.metadata().clone()))
}

fn dictionary_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// Numbers of texts, each told once.
#[derive(Default)]
struct Texts {
    values: StringBuilder,
    count: i32,
    addresses: HashMap<Address, i32>,
    names: HashMap<Name, i32>,
}

impl Texts {
    fn add(&mut self, text: &str) -> i32 {
        self.values.append_value(text);
        self.count += 1;
        self.count - 1
    }

    fn address(&mut self, address: Address) -> i32 {
        if let Some(number) = self.addresses.get(&address) {
            return *number;
        }
        let number = self.add(&address.to_string());
        self.addresses.insert(address, number);
        number
    }

    fn name(&mut self, name: &str) -> i32 {
        if let Some(number) = self.names.get(name) {
            return *number;
        }
        let number = self.add(name);
        self.names.insert(Name::from(name), number);
        number
    }
}

/// What a number of a batch stands for, as numbers of texts, made when it is first met.
struct Translation<T> {
    known: Vec<Option<T>>,
}

impl<T: Copy> Translation<T> {
    fn new() -> Translation<T> {
        Translation { known: Vec::new() }
    }

    fn get(&mut self, number: u32, make: impl FnOnce() -> T) -> T {
        let place = number as usize;
        if place >= self.known.len() {
            self.known.resize(place + 1, None);
        }
        *self.known[place].get_or_insert_with(make)
    }
}

/// Texts of a tag: service, region, source, version.
type TagTexts = [Option<i32>; 4];
/// Texts of a prefix of ours: the prefix and its customer.
type OwnTexts = [Option<i32>; 2];

/// What is kept of the names of the attribution tables, from batch to batch.
struct Known {
    names: Arc<TagNames>,
    tags: Translation<TagTexts>,
    places: Translation<OwnTexts>,
}

/// Columns under way, in the order in which the table declares them.
enum Column {
    Integers(Int64Builder),
    Times(TimestampMicrosecondBuilder),
    Floats(Float64Builder),
    Texts(Int32Builder),
}

/// The flows of a row group that is not full yet.
pub(crate) struct RowGroup {
    columns: Vec<Column>,
    texts: Texts,
    known: Option<Known>,
    rows: usize,
}

impl RowGroup {
    pub(crate) fn new() -> RowGroup {
        let column = |field: &Arc<Field>| match field.data_type() {
            DataType::Int64 => Column::Integers(Int64Builder::new()),
            DataType::Float64 => Column::Floats(Float64Builder::new()),
            DataType::Timestamp(..) => Column::Times(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            _ => Column::Texts(Int32Builder::new()),
        };
        let columns = schema().fields().iter().map(column).collect();
        RowGroup { columns, texts: Texts::default(), known: None, rows: 0 }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Adds flows of a batch, received in a window that starts then.
    pub(crate) fn add(&mut self, batch: &FlowBatch, flows: &[Flow], window: (i64, i64)) {
        if self.known.as_ref().is_none_or(|known| !Arc::ptr_eq(&known.names, &batch.names)) {
            let (tags, places) = (Translation::new(), Translation::new());
            self.known = Some(Known { names: batch.names.clone(), tags, places });
        }
        self.rows += flows.len();
        let (mut links, mut exporters) = (Translation::new(), Translation::new());
        for flows in flows.chunks(CHUNK) {
            self.add_chunk(batch, flows, window, &mut links, &mut exporters);
        }
    }

    fn add_chunk(
        &mut self,
        batch: &FlowBatch,
        flows: &[Flow],
        (start_us, seconds): (i64, i64),
        links: &mut Translation<i32>,
        exporters: &mut Translation<i32>,
    ) {
        let Some(known) = &mut self.known else { return };
        let mut chunk = Chunk { columns: self.columns.iter_mut(), flows };
        let texts = &mut self.texts;
        let directions = Direction::ALL.map(|direction| texts.name(direction.name()));
        let views = [View::OwnPort, View::Unstated, View::OtherPort, View::OtherRouter].map(|view| texts.name(view.name()));
        chunk.times(|_| start_us);
        chunk.integers(|_| seconds);
        chunk.times(|flow| flow.start_us);
        chunk.times(|flow| flow.end_us);
        chunk.texts(|flow| {
            let address = || batch.exporters.get(flow.exporter as usize).copied().flatten().unwrap_or(Address::UNKNOWN);
            exporters.get(flow.exporter, || texts.address(address()))
        });
        chunk.texts(|flow| links.get(flow.link, || texts.name(batch.link(flow.link).map_or("other", |name| name))));
        chunk.texts(|flow| directions[flow.direction as usize]);
        chunk.texts(|flow| views[flow.view as usize]);
        chunk.texts(|flow| texts.address(flow.source));
        chunk.texts(|flow| texts.address(flow.destination));
        chunk.integers(|flow| flow.protocol.into());
        chunk.integers(|flow| flow.source_port.into());
        chunk.integers(|flow| flow.destination_port.into());
        chunk.integers(|flow| flow.tcp_flags.into());
        chunk.known_integers(|flow| i64::from(flow.input));
        chunk.known_integers(|flow| i64::from(flow.output));
        chunk.integers(|flow| flow.bytes.cast_signed());
        chunk.integers(|flow| flow.packets.cast_signed());
        chunk.integers(|flow| flow.is_in_ledger.into());
        chunk.floats(|flow| flow.sampling.ratio());
        for part in 0..4 {
            let tag =
                |flow: &Flow| known.tags.get(flow.microsoft.tag.0, || tag_texts(&known.names, flow.microsoft.tag, texts))[part];
            chunk.known_texts(tag);
        }
        chunk.known_integers(|flow| i64::from(flow.microsoft.asn));
        for part in 0..2 {
            let own = |flow: &Flow| known.places.get(flow.ours.place, || own_texts(&known.names, flow.ours.place, texts))[part];
            chunk.known_texts(own);
        }
        chunk.known_integers(|flow| i64::from(flow.ours.asn));
    }

    /// The columns, and an empty row group in their place.
    pub(crate) fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        let RowGroup { columns, mut texts, .. } = std::mem::replace(self, RowGroup::new());
        let values: Arc<StringArray> = Arc::new(texts.values.finish());
        let finish = |column: Column| -> Result<ArrayRef, ArrowError> {
            Ok(match column {
                Column::Integers(mut builder) => Arc::new(builder.finish()),
                Column::Times(mut builder) => Arc::new(builder.finish()),
                Column::Floats(mut builder) => Arc::new(builder.finish()),
                Column::Texts(mut builder) => Arc::new(DictionaryArray::try_new(builder.finish(), values.clone())?),
            })
        };
        RecordBatch::try_new(schema(), columns.into_iter().map(finish).collect::<Result<_, _>>()?)
    }
}

fn tag_texts(names: &TagNames, tag: TagId, texts: &mut Texts) -> TagTexts {
    let Some(tag) = names.tags.get(tag.0 as usize).filter(|_| tag.is_microsoft()) else { return [None; 4] };
    let parts = [tag.service.as_deref(), tag.region.as_deref(), Some(&*tag.source), tag.version.as_deref()];
    parts.map(|part| part.map(|text| texts.name(text)))
}

fn own_texts(names: &TagNames, place: u32, texts: &mut Texts) -> OwnTexts {
    let Some(Place { own: Some(own), .. }) = names.places.get(place as usize) else { return [None; 2] };
    [Some(texts.name(&own.prefix.to_string())), own.name.as_deref().map(|name| texts.name(name))]
}

/// Some flows, of which one column after the other is filled.
struct Chunk<'a> {
    columns: std::slice::IterMut<'a, Column>,
    flows: &'a [Flow],
}

impl Chunk<'_> {
    fn integers(&mut self, value: impl Fn(&Flow) -> i64) {
        if let Some(Column::Integers(builder)) = self.columns.next() {
            self.flows.iter().for_each(|flow| builder.append_value(value(flow)));
        }
    }

    /// Integers of which 0 stands for unknown.
    fn known_integers(&mut self, value: impl Fn(&Flow) -> i64) {
        if let Some(Column::Integers(builder)) = self.columns.next() {
            self.flows.iter().for_each(|flow| builder.append_option(Some(value(flow)).filter(|value| *value != 0)));
        }
    }

    fn times(&mut self, value: impl Fn(&Flow) -> i64) {
        if let Some(Column::Times(builder)) = self.columns.next() {
            self.flows.iter().for_each(|flow| builder.append_value(value(flow)));
        }
    }

    fn floats(&mut self, value: impl Fn(&Flow) -> Option<f64>) {
        if let Some(Column::Floats(builder)) = self.columns.next() {
            self.flows.iter().for_each(|flow| builder.append_option(value(flow)));
        }
    }

    fn texts(&mut self, mut value: impl FnMut(&Flow) -> i32) {
        if let Some(Column::Texts(builder)) = self.columns.next() {
            self.flows.iter().for_each(|flow| builder.append_value(value(flow)));
        }
    }

    fn known_texts(&mut self, mut value: impl FnMut(&Flow) -> Option<i32>) {
        if let Some(Column::Texts(builder)) = self.columns.next() {
            self.flows.iter().for_each(|flow| builder.append_option(value(flow)));
        }
    }
}
