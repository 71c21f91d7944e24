//! Names of objects; they are made of fixed table names, numbers and the collector's name only.

use std::path::Path as FilePath;

use object_store::ObjectMeta;
use object_store::path::Path;

/// Beginning of the folder of a collector.
pub(crate) const COLLECTOR: &str = "collector=";
/// Ending of data objects.
pub(crate) const PARQUET: &str = ".parquet";
/// Longest name of a collector.
const NAME_BYTES_MOST: usize = 64;
/// Beginning and ending of manifests.
const MANIFEST: (&str, &str) = ("_manifest-", ".json");

/// Whether it can name a collector: it stands in addresses and paths.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MOST).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Whether a manifest may name such an object or file: it becomes a file's name.
pub(crate) fn is_file_name(name: &str) -> bool {
    name.len() <= 2 * NAME_BYTES_MOST
        && name.ends_with(PARQUET)
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// A published file as it lies in the data folder. A revision is another file: it has a time of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LocalFile {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// When it was written, ns since 1970.
    pub(crate) modified_ns: i128,
}

impl LocalFile {
    /// The name of its object.
    pub(crate) fn object(&self) -> String {
        let stem = self.name.strip_suffix(PARQUET).unwrap_or(&self.name);
        format!("{stem}.{:016x}-{:x}{PARQUET}", self.modified_ns, self.bytes)
    }
}

/// The same for the same files: FNV-1a of the objects' names, which stays what it is from version to version.
pub(crate) fn fingerprint(files: &[LocalFile]) -> u64 {
    let bytes = files.iter().flat_map(|file| file.object().into_bytes().into_iter().chain([b'\n']));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A manifest as a listing has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ManifestName {
    /// Counted up with each change of the hour.
    pub(crate) number: u64,
    /// Of the files that it names.
    pub(crate) fingerprint: u64,
}

impl ManifestName {
    pub(crate) fn object(&self) -> String {
        format!("{}{:010}-{:016x}{}", MANIFEST.0, self.number, self.fingerprint, MANIFEST.1)
    }

    pub(crate) fn parse(name: &str) -> Option<ManifestName> {
        let (number, fingerprint) = name.strip_prefix(MANIFEST.0)?.strip_suffix(MANIFEST.1)?.split_once('-')?;
        let parsed = ManifestName { number: number.parse().ok()?, fingerprint: u64::from_str_radix(fingerprint, 16).ok()? };
        (parsed.object() == name).then_some(parsed)
    }
}

/// The folder of a collector below a prefix.
pub(crate) fn collector_folder(prefix: &Path, collector: &str) -> Path {
    prefix.clone().join(format!("{COLLECTOR}{collector}"))
}

/// The start of the hour and the name that an object has in it.
pub(crate) fn hour_of(object: &ObjectMeta) -> Option<(i64, String)> {
    let path = FilePath::new(object.location.as_ref());
    let hour_us = store::hour_start_us(path.parent()?)?;
    Some((hour_us, path.file_name()?.to_str()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let name = ManifestName { number: 7, fingerprint: 0x9e37_79b9_7f4a_7c15 };
        assert_eq!(name.object(), "_manifest-0000000007-9e3779b97f4a7c15.json");
        assert_eq!(ManifestName::parse(&name.object()), Some(name));
        for other in
            ["_manifest-7-9e3779b97f4a7c15.json", "_manifest-0000000007-xyz.json", "100000-60.parquet", "_manifest-.json"]
        {
            assert_eq!(ManifestName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn another_time_or_size_is_another_object() {
        let file = |name: &str, bytes, modified_ns| LocalFile { name: name.into(), bytes, modified_ns };
        let one = file("100000-60.parquet", 8_000, 1_772_445_600_000_000_001);
        assert_eq!(one.object(), "100000-60.1898fde1e3b44001-1f40.parquet");
        let others = [file("100000-60.parquet", 8_001, one.modified_ns), file("100000-60.parquet", 8_000, one.modified_ns + 1)];
        for other in others {
            assert_ne!(fingerprint(std::slice::from_ref(&one)), fingerprint(&[other]));
        }
        assert_ne!(fingerprint(&[]), fingerprint(&[one]));
    }

    #[test]
    fn names_that_come_from_a_store_stay_in_their_folder() {
        assert!(is_name("fra-1") && is_file_name("100000-60.18d3-1f40.parquet"));
        for name in ["", "a/b", "..", "a.b", "ä", &"a".repeat(65)] {
            assert!(!is_name(name), "{name}");
        }
        for name in [".parquet", "../x.parquet", "a/b.parquet", "x.json", "a\0.parquet"] {
            assert!(!is_file_name(name), "{name}");
        }
    }
}
