//! The program `peerscope`.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
