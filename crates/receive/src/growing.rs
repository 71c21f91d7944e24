//! A file that another program writes lines to, or a pipe: read as it grows.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What is read of a file that was there before: its end.
const BEFORE_BYTES: u64 = 1 << 20;
/// Most that is read at once.
const AT_ONCE_BYTES: u64 = 4 << 20;
/// Longest line; the rest of a longer one is passed over.
const LINE_BYTES_MAX: usize = 1 << 20;

/// Lines of a file or named pipe, each given once.
pub struct GrowingFile {
    path: PathBuf,
    open: Option<Open>,
    /// Not the first file of its name: it is read from its beginning.
    is_next: bool,
    /// The beginning of a line that is not at its end yet.
    rest: Vec<u8>,
    /// The rest of a line is passed over.
    is_passing: bool,
    /// Lines that were too long.
    passed_over: u64,
}

struct Open {
    file: File,
    /// Device and inode; `None` of a pipe.
    identity: Option<(u64, u64)>,
    position: u64,
}

impl GrowingFile {
    /// A file that may not be there yet. Of one that is, only the end is read.
    pub fn new(path: &Path) -> GrowingFile {
        GrowingFile { path: path.to_path_buf(), open: None, is_next: false, rest: Vec::new(), is_passing: false, passed_over: 0 }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lines that were too long to be read.
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// Calls `line` with each whole line that came since the last time; does not wait. A file that was
    /// replaced (rotated) is read to its end, then the new one from its beginning.
    ///
    /// # Errors
    ///
    /// If it cannot be opened or read; the next call tries again.
    pub fn read(&mut self, mut line: impl FnMut(&str)) -> io::Result<()> {
        if self.open.is_none() {
            self.reopen()?;
        }
        self.read_open(&mut line)?;
        if self.is_replaced() {
            self.rest.clear();
            self.is_passing = false;
            self.reopen()?;
            self.read_open(&mut line)?;
        }
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.open = None;
        // Without waiting for a writer, if it is a pipe.
        let mut file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(&self.path)?;
        let metadata = file.metadata()?;
        let is_pipe = metadata.file_type().is_fifo();
        let mut position = 0;
        if !is_pipe && !self.is_next && metadata.len() > BEFORE_BYTES {
            position = file.seek(SeekFrom::Start(metadata.len() - BEFORE_BYTES))?;
            // The first line is not whole.
            self.is_passing = true;
        }
        self.is_next = true;
        self.open = Some(Open { file, identity: (!is_pipe).then_some((metadata.dev(), metadata.ino())), position });
        Ok(())
    }

    /// Whether another file has its name now, or it was cut off.
    fn is_replaced(&self) -> bool {
        let Some(Open { identity: Some(identity), position, .. }) = &self.open else { return false };
        std::fs::metadata(&self.path).is_ok_and(|now| (now.dev(), now.ino()) != *identity || now.len() < *position)
    }

    fn read_open(&mut self, line: &mut impl FnMut(&str)) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let mut came = Vec::new();
        let read = (&mut open.file).take(AT_ONCE_BYTES).read_to_end(&mut came);
        open.position += came.len() as u64;
        self.split(&came, line);
        match read {
            // Of a pipe: nothing waits.
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                self.open = None;
                Err(error)
            }
            _ => Ok(()),
        }
    }

    fn split(&mut self, came: &[u8], line: &mut impl FnMut(&str)) {
        let mut pieces = came.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let is_whole = pieces.peek().is_some();
            if !self.is_passing && self.rest.len() + piece.len() > LINE_BYTES_MAX {
                self.passed_over += 1;
                self.is_passing = true;
            }
            if self.is_passing {
                self.rest.clear();
            } else {
                self.rest.extend_from_slice(piece);
            }
            if is_whole {
                let text = String::from_utf8_lossy(&self.rest);
                if !self.is_passing && !text.trim().is_empty() {
                    line(text.trim());
                }
                self.rest.clear();
                self.is_passing = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn lines(file: &mut GrowingFile) -> Vec<String> {
        let mut lines = Vec::new();
        file.read(|line| lines.push(line.to_owned())).unwrap();
        lines
    }

    #[test]
    fn lines_come_once_and_rotation_loses_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counters.jsonl");
        let mut file = GrowingFile::new(&path);
        assert!(file.read(|_| ()).is_err());
        let append = |text: &str| OpenOptions::new().append(true).create(true).open(&path).unwrap().write_all(text.as_bytes());
        append("one\ntwo\nthr").unwrap();
        assert_eq!(lines(&mut file), ["one", "two"]);
        append("ee\n\n").unwrap();
        assert_eq!(lines(&mut file), ["three"]);
        append("four\n").unwrap();
        std::fs::rename(&path, folder.path().join("counters.1")).unwrap();
        append("five\n").unwrap();
        assert_eq!(lines(&mut file), ["four", "five"]);
        // Cut off and begun anew.
        std::fs::write(&path, "6\n").unwrap();
        assert_eq!(lines(&mut file), ["6"]);
        assert_eq!(lines(&mut file), [""; 0]);
    }

    #[test]
    fn of_a_long_file_the_end_and_of_a_long_line_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        std::fs::write(&path, format!("{}\nlast\n", "x".repeat(BEFORE_BYTES as usize))).unwrap();
        let mut file = GrowingFile::new(&path);
        assert_eq!(lines(&mut file), ["last"]);
        let mut writer = OpenOptions::new().append(true).open(&path).unwrap();
        writer.write_all(format!("{}\nnext\n", "y".repeat(LINE_BYTES_MAX + 1)).as_bytes()).unwrap();
        assert_eq!((lines(&mut file), file.passed_over()), (vec!["next".to_owned()], 1));
    }

    #[test]
    fn a_pipe_is_read_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut file = GrowingFile::new(&path);
        assert_eq!(lines(&mut file), [""; 0]);
        let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
        writer.write_all(b"one\ntw").unwrap();
        assert_eq!(lines(&mut file), ["one"]);
        writer.write_all(b"o\n").unwrap();
        drop(writer);
        assert_eq!(lines(&mut file), ["two"]);
        assert_eq!(lines(&mut file), [""; 0]);
    }
}
