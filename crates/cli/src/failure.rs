//! How a command ends when it does not succeed, and the exit code of it.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// Why a command stopped; its text is one sentence: what, where, how to mend it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Wrong usage or configuration: exit code 2.
    Usage(String),
    /// It was asked rightly and could not be done: exit code 1.
    Failed(String),
    /// The reader of the output went away, which is no failure.
    BrokenPipe,
}

impl Failure {
    /// A failure that is the user's to mend in arguments or configuration.
    pub(crate) fn usage(sentence: impl fmt::Display) -> Failure {
        Failure::Usage(sentence.to_string())
    }

    /// A failure of the work itself.
    pub(crate) fn failed(sentence: impl fmt::Display) -> Failure {
        Failure::Failed(sentence.to_string())
    }

    /// Whether only the reader of the output went away.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Failure::BrokenPipe)
    }

    /// 1 failed, 2 wrong usage or configuration.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Usage(_) => ExitCode::from(2),
            Failure::Failed(_) => ExitCode::from(1),
            Failure::BrokenPipe => ExitCode::SUCCESS,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(sentence) | Failure::Failed(sentence) => formatter.write_str(sentence),
            Failure::BrokenPipe => formatter.write_str("the reader of the output went away"),
        }
    }
}

/// Errors of writing to standard output; errors with a file are worded where the file is known.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::BrokenPipe,
            _ => Failure::Failed(format!("cannot write to standard output: {error}")),
        }
    }
}

/// Reads a text file that the user named.
pub(crate) fn read_text(path: &std::path::Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::usage(format!("{}: there is no such file; check the path", path.display())),
        io::ErrorKind::InvalidData => Failure::usage(format!("{}: this is not UTF-8 text", path.display())),
        io::ErrorKind::IsADirectory => Failure::usage(format!("{}: this is a folder; name a file", path.display())),
        io::ErrorKind::PermissionDenied => {
            Failure::usage(format!("{}: you may not read this file; give its reader the right to", path.display()))
        }
        _ => Failure::failed(format!("{}: cannot be read: {error}", path.display())),
    })
}
