//! Layers of nested prefixes flattened into disjoint ranges, each with its one answer.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use model::tag::{OwnPrefix, Place, Tag, TagId, TagNames};
use model::{Name, Prefix};

use crate::sources::{Entry, Layer, Sources};

/// A range of addresses of one family, from its first address to the next range's.
pub(crate) type Range = (u128, u32);

/// Disjoint ranges of both families, in order, and the names of the numbers in them.
pub(crate) struct Flat {
    pub(crate) v4: Vec<Range>,
    pub(crate) v6: Vec<Range>,
    pub(crate) names: TagNames,
}

/// What a stack of nested prefixes is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Question {
    /// Service and region, by layer.
    Tag(Layer),
    /// Origin AS.
    Origin,
    /// Our own prefixes.
    Own,
}

/// A prefix with the number of its answer, whose meaning the question gives.
#[derive(Clone, Copy)]
struct Stretch {
    prefix: Prefix,
    question: Question,
    answer: u32,
}

/// Flattens all sources.
pub(crate) fn flatten(sources: &Sources) -> Flat {
    let mut numbering = Numbering::new();
    let mut stretches = Vec::new();
    let sizes = tag_sizes(sources);
    let mut chosen: BTreeMap<(Question, Prefix), (&Entry, TagId)> = BTreeMap::new();
    for list in &sources.lists {
        for entry in &list.entries {
            if let Some(asn) = entry.origin_asn {
                stretches.push(Stretch { prefix: entry.prefix, question: Question::Origin, answer: asn });
            }
            // Prefixes of another's AS tell its origin and are no tag of Microsoft's.
            if entry.origin_asn.is_some_and(|asn| !sources.microsoft_asns.contains(&asn)) {
                continue;
            }
            let tag = numbering.tag(list.layer, list.version.as_ref(), entry);
            let key = (Question::Tag(list.layer), entry.prefix);
            let is_better =
                chosen.get(&key).is_none_or(|(other, _)| rank(entry, list.layer, &sizes) < rank(other, list.layer, &sizes));
            if is_better {
                chosen.insert(key, (entry, tag));
            }
        }
    }
    stretches.extend(chosen.iter().map(|((question, prefix), (_, tag))| Stretch {
        prefix: *prefix,
        question: *question,
        answer: tag.0,
    }));
    for (index, own) in sources.own.iter().enumerate() {
        stretches.push(Stretch { prefix: own.prefix, question: Question::Own, answer: index as u32 });
    }
    // Within a question the later of two equal prefixes lies on top: the last one given wins.
    stretches.sort_by_key(|stretch| (stretch.prefix.first(), stretch.prefix.length(), stretch.question));
    numbering.exporter_tags(sources);
    let (v4, v6): (Vec<Stretch>, Vec<Stretch>) = stretches.into_iter().partition(|stretch| stretch.prefix.is_v4());
    let v4 = sweep(&v4, &mut numbering, &sources.own);
    let v6 = sweep(&v6, &mut numbering, &sources.own);
    Flat { v4, v6, names: numbering.names }
}

/// Smaller is better: regional before global, the tag with the fewest addresses, then by name.
fn rank<'a>(entry: &'a Entry, layer: Layer, sizes: &HashMap<(Layer, Name), u128>) -> (bool, u128, &'a str) {
    (entry.region.is_none(), sizes.get(&(layer, entry.tag.clone())).copied().unwrap_or(0), &*entry.tag)
}

/// The addresses of each tag, its prefixes added up.
fn tag_sizes(sources: &Sources) -> HashMap<(Layer, Name), u128> {
    let mut sizes: HashMap<(Layer, Name), u128> = HashMap::new();
    for list in &sources.lists {
        for entry in &list.entries {
            let addresses = (entry.prefix.last().bits() - entry.prefix.first().bits()).saturating_add(1);
            let size = sizes.entry((list.layer, entry.tag.clone())).or_default();
            *size = size.saturating_add(addresses);
        }
    }
    sizes
}

/// Walks the boundaries of all prefixes in order, with a stack of open prefixes for each question.
fn sweep(stretches: &[Stretch], numbering: &mut Numbering, own: &[OwnPrefix]) -> Vec<Range> {
    let mut boundaries: Vec<u128> = stretches
        .iter()
        .flat_map(|stretch| [Some(stretch.prefix.first().bits()), stretch.prefix.last().bits().checked_add(1)])
        .flatten()
        .collect();
    boundaries.sort_unstable();
    boundaries.dedup();
    let mut open: BTreeMap<Question, Vec<Stretch>> = BTreeMap::new();
    let mut coming = stretches.iter().peekable();
    let mut ranges: Vec<Range> = Vec::new();
    for boundary in boundaries {
        for stack in open.values_mut() {
            while stack.last().is_some_and(|top| top.prefix.last().bits() < boundary) {
                stack.pop();
            }
        }
        while let Some(stretch) = coming.next_if(|stretch| stretch.prefix.first().bits() == boundary) {
            open.entry(stretch.question).or_default().push(*stretch);
        }
        let place = numbering.place(&open, own);
        if ranges.last().is_none_or(|(_, before)| *before != place) {
            ranges.push((boundary, place));
        }
    }
    ranges
}

/// The answers that make a place; two stretches with the same ones are the same place.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Answers {
    tag: TagId,
    microsoft_prefix: Option<Prefix>,
    origin_asn: Option<u32>,
    own_index: Option<u32>,
}

/// Gives tags and places their dense numbers, in the order in which they are met.
struct Numbering {
    names: TagNames,
    tags: HashMap<Tag, TagId>,
    places: HashMap<Answers, u32>,
}

impl Numbering {
    fn new() -> Numbering {
        let names = TagNames { tags: vec![Tag::default()], places: vec![Place::default()] };
        Numbering { names, tags: HashMap::new(), places: HashMap::from([(Answers::default(), 0)]) }
    }

    fn tag(&mut self, layer: Layer, version: Option<&Name>, entry: &Entry) -> TagId {
        let (service, region) = (entry.service.clone(), entry.region.clone());
        self.number(Tag { service, region, source: layer.name().into(), version: version.cloned() })
    }

    fn number(&mut self, tag: Tag) -> TagId {
        let next = TagId(self.names.tags.len() as u32);
        *self.tags.entry(tag).or_insert_with_key(|tag| {
            self.names.tags.push(tag.clone());
            next
        })
    }

    /// The tag of what only the exporter says is of a Microsoft AS.
    fn exporter_tags(&mut self, sources: &Sources) {
        if !sources.microsoft_asns.is_empty() {
            self.number(Tag { source: EXPORTER_AS.into(), ..Tag::default() });
        }
    }

    /// The number of the answers on top of the open stacks.
    fn place(&mut self, open: &BTreeMap<Question, Vec<Stretch>>, own: &[OwnPrefix]) -> u32 {
        let top = |question| open.get(&question).and_then(|stack| stack.last());
        let tagged = Layer::ALL.iter().find_map(|layer| top(Question::Tag(*layer)));
        let tag = TagId(tagged.map_or(0, |stretch| stretch.answer));
        let microsoft_prefix = tagged.map(|stretch| stretch.prefix);
        let origin_asn = top(Question::Origin).map(|stretch| stretch.answer);
        let own_index = top(Question::Own).map(|stretch| stretch.answer);
        let next = self.names.places.len() as u32;
        *self.places.entry(Answers { tag, microsoft_prefix, origin_asn, own_index }).or_insert_with(|| {
            let own = own_index.map(|index| own[index as usize].clone());
            self.names.places.push(Place { tag, microsoft_prefix, origin_asn, own });
            next
        })
    }
}

/// The source of a tag that only the exporter's AS fields give.
pub(crate) const EXPORTER_AS: &str = "exporter_as";
