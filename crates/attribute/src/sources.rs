//! The lists that attribution is made of, and how their texts are read.

use std::collections::BTreeSet;

use model::tag::OwnPrefix;
use model::{Name, Prefix};
use serde::{Deserialize, Serialize};

/// Prefixes of one list; the largest real one has some 120,000.
const ENTRIES_MOST: usize = 4_000_000;

/// Microsoft's ASes: the public peering AS and its block, ExpressRoute, and corporate ones.
/// AS 12076 (ExpressRoute) must never be accepted on an internet peering: its traffic is a fault.
pub const MICROSOFT_ASNS: &[u32] = &[3598, 6584, 8068, 8069, 8070, 8071, 8072, 8073, 8074, 8075, 12076];

/// Where a list stands in the order of layers; the first that has an address decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Layer {
    /// Microsoft prefixes that the user named.
    Own,
    /// Microsoft 365 endpoints.
    Microsoft365,
    /// Azure service tags that name a service.
    ServiceTags,
    /// The other Azure service tags.
    AzureCloud,
    /// Prefixes by origin AS.
    AsPrefixes,
    /// Microsoft's large aggregates.
    Builtin,
}

impl Layer {
    /// All, in their order.
    pub const ALL: [Layer; 6] =
        [Layer::Own, Layer::Microsoft365, Layer::ServiceTags, Layer::AzureCloud, Layer::AsPrefixes, Layer::Builtin];

    /// The name in the column `tag_source`.
    pub const fn name(self) -> &'static str {
        match self {
            Layer::Own => "own",
            Layer::Microsoft365 => "m365",
            Layer::ServiceTags => "service_tags",
            Layer::AzureCloud => "azure_cloud",
            Layer::AsPrefixes => "as_prefixes",
            Layer::Builtin => "builtin",
        }
    }
}

/// A prefix of a list and what the list says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The prefix.
    pub prefix: Prefix,
    /// Name of its tag in the list; decides the last tie, and whose addresses are added up.
    pub tag: Name,
    /// Service.
    pub service: Option<Name>,
    /// Region.
    pub region: Option<Name>,
    /// Origin AS.
    pub origin_asn: Option<u32>,
}

/// A list of prefixes in a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Its layer.
    pub layer: Layer,
    /// Its version, such as a change number or a date.
    pub version: Option<Name>,
    /// Its entries.
    pub entries: Vec<Entry>,
}

/// Everything that attribution is made of.
///
/// As JSON it is the one file that `peerscope prefixes import` writes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sources {
    /// Microsoft's lists, in any order.
    pub lists: Vec<List>,
    /// Our own prefixes and our customers'.
    pub own: Vec<OwnPrefix>,
    /// Microsoft's ASes.
    pub microsoft_asns: BTreeSet<u32>,
}

impl Sources {
    /// No list at all.
    pub fn empty() -> Sources {
        Sources { lists: Vec::new(), own: Vec::new(), microsoft_asns: BTreeSet::new() }
    }

    /// Adds what another set has.
    pub fn join(&mut self, other: Sources) {
        self.lists.extend(other.lists);
        self.own.extend(other.own);
        self.microsoft_asns.extend(other.microsoft_asns);
    }

    /// Reads what `peerscope prefixes import` has written.
    ///
    /// # Errors
    ///
    /// If the text is not of that form.
    pub fn from_json(file: &str, text: &str) -> Result<Sources, SourceError> {
        let sources: Sources = serde_json::from_str(text)
            .map_err(|error| SourceError::file(file, format!("this is not a file of peerscope prefixes import ({error})")))?;
        bounded(file, sources.lists.iter().map(|list| list.entries.len()).sum::<usize>() + sources.own.len())?;
        Ok(sources)
    }

    /// The one file that `peerscope prefixes import` writes.
    pub fn to_json(&self) -> String {
        // Texts and numbers only: there is nothing that JSON cannot say.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Default for Sources {
    /// What there is with nothing given: the built-in list.
    fn default() -> Sources {
        Sources { lists: vec![builtin()], own: Vec::new(), microsoft_asns: MICROSOFT_ASNS.iter().copied().collect() }
    }
}

/// What is wrong with a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// A line is not what it should be.
    #[error("{file}:{line}: {problem}")]
    Line {
        /// Name of the file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong, and what should stand there.
        problem: String,
    },
    /// The file as a whole is not what it should be.
    #[error("{file}: {problem}")]
    File {
        /// Name of the file.
        file: String,
        /// What is wrong, and what it should be.
        problem: String,
    },
}

impl SourceError {
    fn file(file: &str, problem: impl Into<String>) -> SourceError {
        SourceError::File { file: file.to_string(), problem: problem.into() }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceTagsFile {
    change_number: u64,
    values: Vec<ServiceTag>,
}

#[derive(Deserialize)]
struct ServiceTag {
    name: String,
    properties: ServiceTagProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceTagProperties {
    #[serde(default)]
    region: String,
    #[serde(default)]
    system_service: String,
    address_prefixes: Vec<String>,
}

/// Reads Azure's `ServiceTags_Public_*.json` into the layers of tags that name a service and the rest.
///
/// # Errors
///
/// If the text is not of that form.
pub fn service_tags(file: &str, text: &str) -> Result<[List; 2], SourceError> {
    let tags: ServiceTagsFile = serde_json::from_str(text).map_err(|error| {
        SourceError::file(file, format!("this is not a service tags file ({error}); give Azure's ServiceTags_Public_*.json"))
    })?;
    let version: Name = tags.change_number.to_string().into();
    let list = |layer| List { layer, version: Some(version.clone()), entries: Vec::new() };
    let mut lists = [list(Layer::ServiceTags), list(Layer::AzureCloud)];
    for tag in tags.values {
        let name: Name = tag.name.as_str().into();
        let has_service = !tag.properties.system_service.is_empty();
        // The rest has no service of its own; the stem of its name ("AzureCloud") stands for one.
        let stem = tag.name.split('.').next().unwrap_or_default();
        let service: Name = if has_service { tag.properties.system_service.as_str().into() } else { stem.into() };
        let region: Option<Name> = Some(tag.properties.region).filter(|region| !region.is_empty()).map(Name::from);
        for prefix in &tag.properties.address_prefixes {
            let prefix = prefix.parse().map_err(|problem| SourceError::file(file, format!("tag {name}: {problem}")))?;
            let (tag, service, region) = (name.clone(), Some(service.clone()), region.clone());
            lists[usize::from(!has_service)].entries.push(Entry { prefix, tag, service, region, origin_asn: None });
        }
    }
    bounded(file, lists.iter().map(|list| list.entries.len()).sum())?;
    Ok(lists)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    service_area: String,
    #[serde(default)]
    ips: Vec<String>,
}

/// Reads Microsoft 365 endpoints: the JSON of endpoints.office.com, or a text of prefixes whose
/// service is in the file's name (`Worldwide_Exchange_ipv4.txt`).
///
/// # Errors
///
/// If the text is of neither form.
pub fn microsoft_365(file: &str, text: &str, version: Option<&str>) -> Result<List, SourceError> {
    let mut entries = Vec::new();
    let mut enter = |service: &str, prefix: Prefix| {
        let service: Name = service.into();
        entries.push(Entry { prefix, tag: service.clone(), service: Some(service), region: None, origin_asn: None });
    };
    if text.trim_start().starts_with('[') {
        let endpoints: Vec<Endpoint> = serde_json::from_str(text)
            .map_err(|error| SourceError::file(file, format!("this is not the endpoints JSON of Microsoft 365 ({error})")))?;
        for endpoint in endpoints {
            for prefix in &endpoint.ips {
                let prefix = prefix.parse().map_err(|problem: String| SourceError::file(file, problem))?;
                enter(&endpoint.service_area, prefix);
            }
        }
    } else {
        let service = service_of_name(file);
        for (line, fields) in lines(text) {
            enter(&service, prefix_of(file, line, fields[0])?);
        }
    }
    bounded(file, entries.len())?;
    Ok(List { layer: Layer::Microsoft365, version: version.map(Name::from), entries })
}

/// `Worldwide_Exchange_ipv4.txt` is of `Exchange`; a list of all services is of `Microsoft365`.
fn service_of_name(file: &str) -> String {
    let stem = file.rsplit('/').next().unwrap_or(file).split('.').next().unwrap_or(file);
    let word =
        |word: &&str| !word.is_empty() && !matches!(word.to_ascii_lowercase().as_str(), "worldwide" | "ipv4" | "ipv6" | "all");
    stem.split(['_', '-']).find(word).unwrap_or("Microsoft365").to_string()
}

/// Reads the prefixes that an AS originates, one a line.
///
/// # Errors
///
/// The first line that holds no prefix.
pub fn as_prefixes(file: &str, text: &str, asn: u32, version: Option<&str>) -> Result<List, SourceError> {
    let tag: Name = format!("AS{asn}").into();
    let mut entries = Vec::new();
    for (line, fields) in lines(text) {
        let prefix = prefix_of(file, line, fields[0])?;
        entries.push(Entry { prefix, tag: tag.clone(), service: None, region: None, origin_asn: Some(asn) });
    }
    bounded(file, entries.len())?;
    Ok(List { layer: Layer::AsPrefixes, version: version.map(Name::from), entries })
}

/// Reads the user's own list of Microsoft prefixes: `PREFIX SERVICE [REGION]` a line.
///
/// # Errors
///
/// The first line that is not of this form.
pub fn own_microsoft(file: &str, text: &str, version: Option<&str>) -> Result<List, SourceError> {
    let mut entries = Vec::new();
    for (line, fields) in lines(text) {
        let prefix = prefix_of(file, line, fields[0])?;
        let Some(service) = fields.get(1) else {
            let problem = "a service is missing; write PREFIX SERVICE [REGION]".to_string();
            return Err(SourceError::Line { file: file.to_string(), line, problem });
        };
        if let Some(rest) = fields.get(3) {
            let problem = format!("\"{rest}\" is too much; write PREFIX SERVICE [REGION], each without spaces");
            return Err(SourceError::Line { file: file.to_string(), line, problem });
        }
        let service: Name = (*service).into();
        let region = fields.get(2).map(|region| Name::from(*region));
        entries.push(Entry { prefix, tag: service.clone(), service: Some(service), region, origin_asn: None });
    }
    bounded(file, entries.len())?;
    Ok(List { layer: Layer::Own, version: version.map(Name::from), entries })
}

/// Reads our own prefixes and our customers': `PREFIX [ASN] [NAME]` a line.
///
/// # Errors
///
/// The first line that holds no prefix.
pub fn own_prefixes(file: &str, text: &str) -> Result<Vec<OwnPrefix>, SourceError> {
    let mut prefixes = Vec::new();
    for (line, fields) in lines(text) {
        let prefix = prefix_of(file, line, fields[0])?;
        let asn = fields.get(1).and_then(|field| field.trim_start_matches("AS").parse().ok());
        let name_from = if asn.is_some() { 2 } else { 1 };
        let name = fields[name_from.min(fields.len())..].join(" ");
        prefixes.push(OwnPrefix { prefix, name: Some(name).filter(|name| !name.is_empty()).map(Name::from), asn });
    }
    bounded(file, prefixes.len())?;
    Ok(prefixes)
}

/// Microsoft's large aggregates, announced by AS 8075.
pub fn builtin() -> List {
    const PREFIXES: &str = "4.144.0.0/12 4.160.0.0/11 4.192.0.0/10 13.64.0.0/11 13.104.0.0/14 20.0.0.0/11 20.33.0.0/16 20.36.0.0/14
        20.40.0.0/13 20.48.0.0/12 20.64.0.0/10 20.135.0.0/16 20.150.0.0/15 20.152.0.0/15 20.160.0.0/12 20.184.0.0/13 20.192.0.0/10 23.96.0.0/14
        23.100.0.0/15 40.64.0.0/15 40.68.0.0/14 40.74.0.0/15 40.76.0.0/14 40.80.0.0/12 40.96.0.0/13 40.104.0.0/14 40.112.0.0/13 40.120.0.0/14
        48.192.0.0/12 48.208.0.0/13 51.140.0.0/14 51.144.0.0/15 52.96.0.0/12 52.112.0.0/14 52.120.0.0/14 52.136.0.0/13 52.148.0.0/14
        52.152.0.0/13 52.160.0.0/11 52.224.0.0/11 57.152.0.0/13 57.160.0.0/12 65.52.0.0/14 72.144.0.0/14 72.152.0.0/14 74.160.0.0/14
        98.64.0.0/14 104.40.0.0/13 104.208.0.0/13 108.140.0.0/14 132.245.0.0/16 134.170.0.0/16 135.232.0.0/14 150.171.0.0/16 157.55.0.0/16
        157.56.0.0/16 172.128.0.0/10 172.200.0.0/13 172.208.0.0/13 191.232.0.0/13 204.79.197.0/24 2603:1000::/25 2620:1ec::/36
        2a01:111::/32 2404:f800::/32";
    let tag: Name = "AS8075".into();
    let entry = |prefix| Entry { prefix, tag: tag.clone(), service: None, region: None, origin_asn: Some(8075) };
    List {
        layer: Layer::Builtin,
        version: None,
        entries: PREFIXES.split_whitespace().filter_map(|text| text.parse().ok()).map(entry).collect(),
    }
}

/// The lines that hold something: comments (`#`, `;`) and blanks left out, fields split at blanks and commas.
fn lines(text: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    text.lines().enumerate().filter_map(|(index, line)| {
        let content = line.split(['#', ';']).next().unwrap_or_default();
        let fields: Vec<&str> = content.split([' ', '\t', ',']).map(str::trim).filter(|field| !field.is_empty()).collect();
        (!fields.is_empty()).then_some((index + 1, fields))
    })
}

fn prefix_of(file: &str, line: usize, field: &str) -> Result<Prefix, SourceError> {
    field.parse().map_err(|problem| SourceError::Line { file: file.to_string(), line, problem })
}

fn bounded(file: &str, entries: usize) -> Result<(), SourceError> {
    match entries {
        0 => Err(SourceError::file(file, "it holds no prefix")),
        1..=ENTRIES_MOST => Ok(()),
        _ => Err(SourceError::file(file, format!("it holds {entries} prefixes; at most {ENTRIES_MOST} are read"))),
    }
}
