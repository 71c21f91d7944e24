//! The data folder as it is published: files of an hour, with their times.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::ObjectsError;
use crate::names::{LocalFile, is_file_name};

/// The published files of an hour's folder, in the order of their names; none if it is not there.
pub(crate) fn files(folder: &Path) -> Result<Vec<LocalFile>, ObjectsError> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(ObjectsError::file("list", folder))?,
    };
    let mut files = Vec::new();
    for entry in listed {
        let entry = entry.map_err(ObjectsError::file("list", folder))?;
        let Some(name) = entry.file_name().to_str().filter(|name| is_file_name(name)).map(str::to_owned) else { continue };
        match entry.metadata() {
            Ok(metadata) => files.push(file_of(name, &metadata)),
            // It was replaced meanwhile; whoever needs a whole listing lists twice.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(ObjectsError::file("look at", &entry.path())(error)),
        }
    }
    files.sort();
    Ok(files)
}

fn file_of(name: String, metadata: &fs::Metadata) -> LocalFile {
    let modified_ns = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    LocalFile { name, bytes: metadata.len(), modified_ns: modified_ns.max(0) }
}

/// The bytes of a file that was listed; `None` if it is another by now.
pub(crate) fn read(folder: &Path, listed: &LocalFile) -> Result<Option<Vec<u8>>, ObjectsError> {
    let path = folder.join(&listed.name);
    let mut file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(ObjectsError::file("open", &path))?,
    };
    let metadata = file.metadata().map_err(ObjectsError::file("look at", &path))?;
    if file_of(listed.name.clone(), &metadata) != *listed {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(listed.bytes).unwrap_or_default());
    file.read_to_end(&mut bytes).map_err(ObjectsError::file("read", &path))?;
    Ok((bytes.len() as u64 == listed.bytes).then_some(bytes))
}
